/* Every window held open once: the victim runs its place instruction by instruction, by the
 * processor's trap flag, and is stopped after the k-th of them; then all of it anew with the next
 * k, until it gets through without a stop.
 *
 *     static void place(void) { step_begin(); FX_WITH(&lock) use(); step_end(); }
 *     static void look(long k) { ck_assert_msg(!fx_lock_locked(&lock), "after %ld", k); }
 *     ...
 *     step_through(place, NULL, look);
 *
 * The handler of the trap waits until main has asked for the stop, with all signals blocked: so the
 * signal of the stop finds the victim exactly between two instructions.
 *
 * With FX_TEST_SCALE of 1000 and more every k is tried. As a trap takes microseconds, and k of them
 * are needed for each k, less than that tries all up to twice the scale, and then ever fewer, at
 * random. */
#ifndef TESTS_STOP_STEP_H
#define TESTS_STOP_STEP_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "victim.h"

#if defined __x86_64__ && STOPS_ARRIVE_ANYWHERE
#define CAN_STEP 1

enum { TRAP_FLAG = 0x100 };

static struct {
    long left;       /* instructions until the stop; 0: none is stepped through */
    int counts;      /* whether they are counted yet */
    uint32_t events; /* futex: changed with `reached` and `through` */
    uint32_t asked;  /* futex: whether the stop has been asked */
    int reached;     /* the victim stands behind the last of them, and waits for `asked` */
    int through;     /* it got to the end */
    int steps;       /* SIGUSR1 has come to it */
} step;

static inline void step_futex_wait(uint32_t *word, uint32_t value)
{
    struct timespec moment = { 0, 100000 };
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &moment, NULL, 0);
}

static inline void step_futex_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void step_tell(int *flag)
{
    __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
    __atomic_fetch_add(&step.events, 1, __ATOMIC_RELEASE);
    step_futex_wake(&step.events);
}

/* Functions, and in assembly, so that each of their instructions can be walked through. */
void step_set_flag(void);
void step_clear_flag(void);
__asm__(".text\n"
        ".type step_set_flag, @function\n"
        "step_set_flag:\n"
        ".cfi_startproc\n"
        "    pushfq\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    orl $0x100, (%rsp)\n"
        "    popfq\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size step_set_flag, .-step_set_flag\n"
        ".type step_clear_flag, @function\n"
        "step_clear_flag:\n"
        ".cfi_startproc\n"
        "    pushfq\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    andl $~0x100, (%rsp)\n"
        "    popfq\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size step_clear_flag, .-step_clear_flag\n");

static void step_trap(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    int saved_errno = errno;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (!__atomic_load_n(&step.counts, __ATOMIC_ACQUIRE) || --step.left > 0)
        return;
    registers[REG_EFL] &= ~TRAP_FLAG;
    step_tell(&step.reached);
    while (!__atomic_load_n(&step.asked, __ATOMIC_ACQUIRE))
        step_futex_wait(&step.asked, 0);
    errno = saved_errno;
}

/* Of SIGUSR1: whoever is sent it goes on step by step. */
static void step_from_here(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    if (step.left > 0)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
    __atomic_store_n(&step.steps, 1, __ATOMIC_RELEASE);
}

static inline void step_catch_traps(void)
{
    struct sigaction action = { .sa_sigaction = step_trap, .sa_flags = SA_SIGINFO };
    sigfillset(&action.sa_mask);
    ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
    action.sa_sigaction = step_from_here;
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static inline void step_send_flag(void)
{
    syscall(SYS_tgkill, getpid(), fx_thread_native_id(victim.thread), SIGUSR1);
}

/* The victim's: from the first to the second its instructions count. The first lock of a thread
 * gives it its number, with all signals blocked, where no trap may come: so it has had one before.
 * */
static inline void step_begin(void)
{
    fx_lock first = FX_LOCK_INIT;
    fx_lock_acquire(&first);
    if (step.left > 0 && step.counts)
        step_set_flag();
}

static inline void step_end(void)
{
    if (step.left > 0)
        step_clear_flag();
    if (!__atomic_load_n(&step.reached, __ATOMIC_ACQUIRE)) {
        victim_is_there();
        step_tell(&step.through);
        return;
    }
    for (;;)
        fx_checkpoint(); /* a stop that had to wait comes here at the latest */
}

static inline void step_arm(long k)
{
    step.left = k;
    step.counts = 1;
    step.reached = step.through = step.steps = 0;
    step.asked = 0;
}

static inline bool step_reached(void)
{
    return __atomic_load_n(&step.reached, __ATOMIC_ACQUIRE);
}

static inline bool step_steps(void)
{
    return __atomic_load_n(&step.steps, __ATOMIC_ACQUIRE);
}

static inline bool step_is_through(void)
{
    return __atomic_load_n(&step.through, __ATOMIC_ACQUIRE);
}

/* Asks for the stop that the victim waits for. What fx_thread_stop returned. */
static inline int step_ask(void)
{
    int rc = fx_thread_stop(victim.thread);
    __atomic_store_n(&step.asked, 1, __ATOMIC_RELEASE);
    step_futex_wake(&step.asked);
    return rc;
}

/* The k to try after this one. */
static inline long step_after(long k)
{
    static uint64_t random;
    if (random == 0)
        random = (uint64_t)getpid() * 6364136223846793005u | 1;
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    int percent = scaled(100);
    if (percent >= 1000 || k < 2 * percent)
        return k + 1;
    return k + 1 + (long)(random % (uint64_t)(k * 100 / (20 * percent) + 1));
}

/* Until the condition is true, which is looked at when the victim tells something, and now and
 * then. */
#define step_await(condition)                                                      \
    do {                                                                           \
        double step_limit = await_now() + await_limit();                           \
        uint32_t step_events;                                                      \
        while (step_events = __atomic_load_n(&step.events, __ATOMIC_ACQUIRE),      \
               !(condition)) {                                                     \
            ck_assert_msg(await_now() < step_limit, #condition);                   \
            step_futex_wait(&step.events, step_events);                            \
        }                                                                          \
    } while (0)

/* How many instructions there were. `prepare`, unless NULL, is called before each run, and look(k)
 * when the victim has ended, with 0 if it got through. */
static inline long step_through(void (*place)(void), void (*prepare)(void), void (*look)(long))
{
    step_catch_traps();
    for (long k = 0;; k = step_after(k)) { /* 0: to bind what is bound at the first call */
        if (prepare)
            prepare();
        step_arm(k);
        victim_start(place);
        step_await(step_reached() || step_is_through());
        bool reached = step_reached();
        if (reached)
            ck_assert_int_eq(step_ask(), 0);
        int rc = fx_thread_join_for(victim.thread, FX_SEC(await_limit()), NULL);
        ck_assert_msg(rc == 0, "stopped after %ld instructions, it does not end", k);
        victim_ends_by(reached ? FX_STOPPED : 0);
        look(reached ? k : 0);
        if (!reached && k > 0)
            return k;
    }
}

#else
#define CAN_STEP 0
#endif

#endif
