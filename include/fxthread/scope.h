/* Scopes: what runs, and what is given back, however a block is left. try, except, finally and with,
 * as in Python.
 *
 * FIRST, two things that C does not do by itself.
 *
 * A local variable that is changed in one of the blocks (FX_TRY, FX_EXCEPT, FX_FINALLY) and read in a
 * later one of them, behind FX_END, or in a C++ handler around them, has to be `volatile`, or its value
 * there is indeterminate. (It is the rule of setjmp(3), for the same reason: an exception jumps, and so
 * does a block that is left early.) What is only read inside, statics, and what is reached through a
 * pointer need nothing. gcc's -Wclobbered, a part of -Wextra, names most of the variables to look at; it
 * also names loop counters around an FX_TRY, which need nothing.
 *
 * FX_WITH is a loop to the compiler: `break` and `continue` in it leave the FX_WITH, properly, and not
 * a loop around it. In FX_TRY and its blocks they mean the loop around it.
 *
 *     static int sum_of_file(const char *path) {
 *         FILE *volatile file = NULL;
 *         volatile int sum = 0;
 *         FX_TRY {
 *             file = fopen(path, "re");
 *             if (!file)
 *                 fx_raise_msg(-errno, "cannot open %s", path);
 *             for (int n; fscanf(file, "%d", &n) == 1; sum += n)
 *                 if (n < 0)
 *                     fx_raise(-EDOM);
 *             return sum;                 // FX_FINALLY runs first
 *         } FX_EXCEPT_IF(e, e == -ENOENT) {
 *             sum = 0;                    // no file: nothing to sum up
 *         } FX_EXCEPT(e) {
 *             fprintf(stderr, "%s\n", fx_caught()->message);
 *             fx_reraise();
 *         } FX_FINALLY {
 *             if (file)
 *                 fclose(file);
 *         } FX_END
 *         return sum;
 *     }
 *
 * The blocks are FX_TRY, then any number of FX_EXCEPT..., then at most one FX_FINALLY, then FX_END:
 *
 * FX_EXCEPT(e) takes every error, and neither FX_STOPPED nor FX_EXITED.
 * FX_EXCEPT_IF(e, condition) takes what the condition is true of. It is asked of stops and exits too:
 *   e == FX_EXITED takes an exit, and e != 1 takes all that is not 1.
 * FX_EXCEPT_ANY(e) takes everything. A stop or an exit that is taken is over.
 * FX_FINALLY runs last, however the blocks above it were left: at their end; by an exception, which
 *   then goes on; or by return, break, continue or goto, which go on behind it.
 *
 * The first clause that takes an exception is the only one that runs; its `e` is the exception's
 * code, and fx_caught() tells the rest. An exception raised in FX_EXCEPT or FX_FINALLY replaces the
 * one that was there, as does one raised by a condition. Leaving FX_FINALLY itself by return, break,
 * continue or goto drops the exception or the return that was on its way.
 *
 * Scopes nest to any depth, across functions. Entering and leaving one costs a few nanoseconds and
 * no system call; an FX_TRY takes about 650 bytes of stack. The first scope of a thread that the
 * library did not start gives it a handle, and where there is no memory for that the thread ends.
 *
 * What leaves a scope without its knowledge is illegal: longjmp() across it (raise instead), a
 * switch to another stack that does not come back, jumping into a block. Memory of alloca() made
 * inside an FX_TRY ends with that block. pthread_exit() and cancellation unwind by force and are no
 * exceptions: they run the finally blocks and releases of C++ and of C compiled with -fexceptions,
 * and of no other code; fx_thread_exit() runs all of them. Destructors of C++ objects in frames that
 * an exception of this library jumps over do not run; a C++ exception that leaves a scope runs its
 * FX_FINALLY, and no FX_EXCEPT takes it; in such a function the FX_FINALLY is not to catch C++
 * exceptions itself, but to call a function that does (some compilers have one place a function for
 * the exception in flight).
 */
#ifndef FXTHREAD_SCOPE_H
#define FXTHREAD_SCOPE_H

#include <fxthread/stop.h>

#ifdef __cplusplus
#define FX_NOTHROW noexcept
#else
#define FX_NOTHROW __attribute__((nothrow))
#endif

/* Defined where the program is built with ThreadSanitizer, whose picture of the stack follows libc's
 * setjmp() and longjmp() only. The library has to be built for it too (--enable-tsan). */
#if defined __SANITIZE_THREAD__
#define FX_SCOPE_SETJMP 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define FX_SCOPE_SETJMP 1
#endif
#endif
#ifdef FX_SCOPE_SETJMP
#include <setjmp.h>
#endif

FX_BEGIN_DECLS

/* The exception that the FX_EXCEPT block around the caller has taken, the innermost such block's; NULL
 * outside of one. What it points at lives as long as the block. Does not block; signal-safe. */
FX_API const fx_exc_info *fx_caught(void);

/* Raises it again, with its message, payload and place of origin. Outside of an FX_EXCEPT block it
 * raises -EINVAL. */
FX_API FX_NORETURN void fx_reraise(void);

/* --- what the macros below are made of; not to be used by themselves --- */

enum fx_scope_state {
    FX_SCOPE_OVER,      /* not, or no more, to be minded */
    FX_SCOPE_BLOCK,     /* FX_TRY: in its block */
    FX_SCOPE_RAISED,    /* FX_TRY: an exception has come, and looks for its clause */
    FX_SCOPE_CAUGHT,    /* FX_TRY: a clause runs */
    FX_SCOPE_PASSING,   /* FX_TRY: on the way to FX_FINALLY, and no clause is to take anything */
    FX_SCOPE_FINALLY,   /* FX_TRY: FX_FINALLY runs */
    FX_SCOPE_ACQUIRING, /* guard: registered; the resource may have been acquired, or not yet */
    FX_SCOPE_HELD,      /* guard: acquired */
    FX_SCOPE_RELEASING  /* guard: being released */
};

enum fx_scope_end {
    FX_SCOPE_CONTINUE, /* behind FX_END */
    FX_SCOPE_DISCARD,  /* the same, and what was caught is over */
    FX_SCOPE_RERAISE,  /* with the exception that was not caught */
    FX_SCOPE_RETURN    /* to where the block was left by return, break, continue or goto */
};

/* The scopes around the present place of a context. */
struct fx_scopes {
    struct fx_scope *innermost; /* NULL: none */
    int stop_is_due;            /* a stop came that had to wait for the end of one of them */
};

/* A scope is linked into its context's list before its block begins, and unlinked when all of it is
 * over; it never moves in between. What an exception does with it depends on the state, a plain
 * store. */
struct fx_scope {
    struct fx_scope *outer;
    struct fx_scopes *list; /* the one it is in */
    int state;              /* enum fx_scope_state */
};

struct fx_try {
    struct fx_scope scope;
    uint64_t end;           /* enum fx_scope_end */
    uint64_t registers[22]; /* at the beginning of FX_TRY */
    uint64_t back[22];      /* where the block was left */
    fx_exc_info exception;  /* from RAISED on */
    fx_callback free_payload;
    char message[160];
#ifdef FX_SCOPE_SETJMP
    jmp_buf environment;
#endif
};

/* How a kind of resource is acquired (0 or a negative errno) and released. Where the resource knows
 * its owner, `release` does nothing to one that the caller does not hold, and so can be called at any
 * time. */
typedef struct fx_resource {
    int (*acquire)(void *object);
    fx_callback release;
    bool knows_owner;
} fx_resource;

typedef struct fx_guard {
    struct fx_scope scope;
    const fx_resource *resource; /* NULL: of FX_DEFER */
    fx_callback release;
    void *object;
} fx_guard;

/* Those of the calling context; NULL before the first call of a thread that the library did not
 * start. */
FX_API extern __thread struct fx_scopes *fx_scope_own __attribute__((tls_model("initial-exec")));

/* The same, never NULL. */
FX_API struct fx_scopes *fx_scope_first(void) FX_NOTHROW;

/* Returns 0; and again, not 0, when an exception has come or the block is being left. */
FX_API int fx_scope_save(struct fx_try *scope) FX_NOTHROW __attribute__((returns_twice));

/* The block's cleanup: of a scope that is not over it runs the rest, as the second return of
 * fx_scope_save(), and returns when that has reached FX_END. Assembly, since no frame of its own can
 * outlast that. */
FX_API void fx_scope_leave(struct fx_try *scope) FX_NOTHROW __attribute__((returns_twice));

/* Ends what was caught. */
FX_API void fx_scope_discard(struct fx_try *scope);

/* FX_END of a scope that does not just go on. */
FX_API void fx_scope_end(struct fx_try *scope);

/* Raises `rc` for a guard that acquired nothing. Where that is -ECANCELED, which stands for a stop that has
 * to wait, it acquires all the same, and returns. */
FX_API void fx_scope_refused(fx_guard *guard, int rc, const char *file, int line);

/* Keeps the order of the stores around it, for a handler in the same thread. */
#define FX_SCOPE_ORDER() __atomic_signal_fence(__ATOMIC_ACQ_REL)

static inline void fx_scope_enter(struct fx_scope *scope, enum fx_scope_state state)
{
    struct fx_scopes *list = fx_scope_own;
    if (__builtin_expect(list == NULL, 0))
        list = fx_scope_first();
    scope->outer = list->innermost;
    scope->list = list;
    scope->state = (int)state;
    FX_SCOPE_ORDER();
    list->innermost = scope;
    FX_SCOPE_ORDER();
}

static inline void fx_scope_unlink(struct fx_scope *scope)
{
    FX_SCOPE_ORDER();
    scope->state = FX_SCOPE_OVER;
    FX_SCOPE_ORDER();
    scope->list->innermost = scope->outer;
    FX_SCOPE_ORDER();
}

/* Where a scope has ended, or begun to hold something, that a stop may have waited for. */
static inline void fx_scope_let_stop(const struct fx_scope *scope)
{
    if (__builtin_expect(scope->list->stop_is_due, 0))
        fx_checkpoint();
}

static inline void fx_try_enter(struct fx_try *scope)
{
    scope->end = FX_SCOPE_CONTINUE;
    fx_scope_enter(&scope->scope, FX_SCOPE_BLOCK);
}

/* Whether a clause is to take the exception, which it then has. */
static inline bool fx_try_catches(struct fx_try *scope, bool takes)
{
    if (!takes)
        return false;
    scope->end = FX_SCOPE_DISCARD;
    FX_SCOPE_ORDER();
    scope->scope.state = FX_SCOPE_CAUGHT;
    FX_SCOPE_ORDER();
    return true;
}

static inline bool fx_try_has_error(const struct fx_try *scope)
{
    return scope->exception.code != FX_STOPPED && scope->exception.code != FX_EXITED;
}

static inline void fx_try_finally(struct fx_try *scope)
{
    FX_SCOPE_ORDER();
    if (scope->end == FX_SCOPE_DISCARD)
        fx_scope_discard(scope);
    scope->scope.state = FX_SCOPE_FINALLY;
    FX_SCOPE_ORDER();
}

static inline void fx_try_end(struct fx_try *scope)
{
    if (__builtin_expect(scope->end == FX_SCOPE_CONTINUE, 1))
        fx_scope_unlink(&scope->scope);
    else
        fx_scope_end(scope);
    fx_scope_let_stop(&scope->scope);
}

static inline fx_guard *fx_guard_enter(fx_guard *guard, const char *file, int line)
{
    fx_scope_enter(&guard->scope, FX_SCOPE_ACQUIRING);
    if (guard->resource) {
        int rc = guard->resource->acquire(guard->object);
        if (__builtin_expect(rc < 0, 0))
            fx_scope_refused(guard, rc, file, line);
    }
    FX_SCOPE_ORDER();
    guard->scope.state = FX_SCOPE_HELD;
    FX_SCOPE_ORDER();
    fx_scope_let_stop(&guard->scope);
    return guard;
}

static inline void fx_guard_leave(fx_guard *guard)
{
    FX_SCOPE_ORDER();
    guard->scope.state = FX_SCOPE_RELEASING;
    FX_SCOPE_ORDER();
    guard->release(guard->object);
    fx_scope_unlink(&guard->scope);
    fx_scope_let_stop(&guard->scope);
}

/* What a guard is made of, before it is entered at its place. */
static inline fx_guard fx_guard_make(const fx_resource *resource, fx_callback release, void *object)
{
    fx_guard guard = { { NULL, NULL, FX_SCOPE_OVER }, resource, release, object };
    return guard;
}

FX_END_DECLS

#ifdef FX_SCOPE_SETJMP
#define FX_TRY_SAVE(scope) (_setjmp((scope)->environment) != 0 || fx_scope_save(scope) != 0)
#else
#define FX_TRY_SAVE(scope) (fx_scope_save(scope) != 0)
#endif

/* What the macros declare may hide a name of the same kind, as scopes nest. */
#define FX_SCOPE_DECLARE(...)                                                                   \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wshadow\"") __VA_ARGS__;  \
    _Pragma("GCC diagnostic pop")

/* The code in an FX_EXCEPT block; volatile for gcc's -Wclobbered, which would suspect it. */
typedef volatile fx_exc fx_caught_exc;

#define FX_TRY                                                                                  \
    {                                                                                           \
        FX_SCOPE_DECLARE(struct fx_try fx_this_try __attribute__((cleanup(fx_scope_leave))))    \
        if (!FX_TRY_SAVE(&fx_this_try)) {                                                       \
            fx_try_enter(&fx_this_try);

#define FX_EXCEPT_WHERE(e, takes)                                                               \
        } else if (fx_this_try.scope.state == FX_SCOPE_RAISED &&                                \
                   fx_try_catches(&fx_this_try, (takes))) {                                     \
            FX_SCOPE_DECLARE(fx_caught_exc e __attribute__((unused)) = fx_this_try.exception.code)

#define FX_EXCEPT(e) FX_EXCEPT_WHERE(e, fx_try_has_error(&fx_this_try))

#define FX_EXCEPT_ANY(e) FX_EXCEPT_WHERE(e, true)

#define FX_EXCEPT_IF(e, condition)                                                              \
    FX_EXCEPT_WHERE(e, __extension__({                                                          \
                        fx_exc e __attribute__((unused)) = fx_this_try.exception.code;          \
                        (condition) ? true : false;                                             \
                    }))

#define FX_FINALLY                                                                              \
        }                                                                                       \
        fx_try_finally(&fx_this_try);                                                           \
        {

#define FX_END                                                                                  \
        }                                                                                       \
        fx_try_end(&fx_this_try);                                                               \
    }

#define FX_JOIN(a, b) FX_JOIN_EXPANDED(a, b)
#define FX_JOIN_EXPANDED(a, b) a##b
#define FX_GUARD_DECLARATION(name, made)                                                        \
    fx_guard name __attribute__((cleanup(fx_guard_leave))) = (made),                            \
                  *FX_JOIN(name, _entered) __attribute__((unused)) = fx_guard_enter(&name, __FILE__, __LINE__)

/* Calls fn(arg), a void function of one pointer, when the enclosing block is left, however that
 * happens; several in the reverse order of these lines. */
#define FX_DEFER(fn, arg)                                                                       \
    FX_GUARD_DECLARATION(FX_JOIN(fx_deferred_, __COUNTER__), fx_guard_make(NULL, (fn), (arg)))

#endif
