/* A storm of stops: threads that do all kinds of things are stopped at any moment, while others use
 * the same heap and the same stream. Afterwards nothing is broken, held, lost or done twice.
 *
 *     stress_stop [stops] [victims at once] [seed]
 *
 * What each victim does, and when it is stopped, follows from the seed; what that comes to depends
 * on the machine. A round starts the victims, stops them, joins them, and looks at everything that
 * they shared. A run of more than a few seconds tells how far it is. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "await.h"
#include "record.h"
#include "sanitizer.h"
#include "scale.h"

SANITIZER_IGNORE_LEAKS

enum { VICTIMS_MAX = 64, ROUNDS_A_SWEEP = 64 };

struct victim {
    fx_thread *thread;
    uint64_t random;
    int only;         /* the place that it stays at; -1: it goes from one to the next */
    int turns;        /* it returns by itself after so many; 0: never */
    int present;      /* its place now */
    int there;        /* it has begun */
    int finally;      /* of the block around everything */
    int entered, left; /* blocks of its own */
    int taken;        /* exceptions from outside that it caught */
    bool returned;
    fx_deadline asked, ended; /* when it was told to stop, and when its last block ran */
};

/* What the victims share. */
static struct {
    fx_lock lock;
    fx_rlock rlock;
    fx_rwlock rwlock;
    fx_semaphore semaphore; /* of 2 */
    fx_condition condition;
    fx_event never;
    fx_queue *queue, *empty;
    FILE *stream;
    int silent[2]; /* a pipe that nobody writes to */
    uint32_t owner, writers;
    uint64_t one, other; /* changed together */
    uint64_t puts, gets;
} shared = { .semaphore = FX_BOUNDED_SEMAPHORE_INIT(2) };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void pass_time(uint64_t turns)
{
    for (uint64_t i = 0; i < turns; i++)
        __asm__ volatile("");
}

/* --- places: own code --- */

static void loop(struct victim *self)
{
    pass_time(self->random & 1023);
}

static void compute(struct victim *self)
{
    double sum = 0;
    for (uint64_t i = 1; i < 300; i++)
        sum = sum * 0.5 + (double)(self->random / i);
    self->random += sum > 1e300;
}

static void scopes(struct victim *self)
{
    FX_TRY {
        self->entered++;
        FX_TRY { pass_time(20); } FX_FINALLY { pass_time(1); } FX_END
    } FX_FINALLY {
        self->left++;
    } FX_END
}

static void raises(struct victim *self)
{
    volatile bool caught = false;
    FX_TRY {
        FX_TRY { fx_raise_msg(3, "turn %d", self->turns); } FX_FINALLY { pass_time(5); } FX_END
    } FX_EXCEPT_IF(e, e == 3) { caught = true; } FX_END
    expect(caught);
}

/* --- places: the library --- */

static void with_lock(struct victim *self)
{
    FX_WITH(&shared.lock) {
        FX_TRY {
            expect_int(shared.owner, ==, 0);
            shared.owner = 1;
            fx_stop_disable();
            shared.one++;
            pass_time(self->random & 63);
            shared.other++;
            fx_stop_enable();
        } FX_FINALLY {
            shared.owner = 0;
        } FX_END
    }
}

static void with_rlock(struct victim *self)
{
    FX_WITH(&shared.rlock) {
        expect(fx_rlock_owned(&shared.rlock));
        FX_WITH(&shared.rlock)
            pass_time(self->random & 63);
        expect(fx_rlock_owned(&shared.rlock));
    }
}

static void with_rwlock(struct victim *self)
{
    if (self->random & 7) {
        FX_WITH(fx_reading(&shared.rwlock)) {
            FX_TRY {
                expect_int(__atomic_load_n(&shared.writers, __ATOMIC_RELAXED), ==, 0);
                pass_time(self->random & 31);
            } FX_FINALLY { pass_time(1); } FX_END
        }
    } else {
        FX_WITH(fx_writing(&shared.rwlock)) {
            FX_TRY {
                expect_int(__atomic_exchange_n(&shared.writers, 1, __ATOMIC_RELAXED), ==, 0);
                pass_time(self->random & 31);
            } FX_FINALLY { __atomic_store_n(&shared.writers, 0, __ATOMIC_RELAXED); } FX_END
        }
    }
}

static void with_semaphore(struct victim *self)
{
    FX_WITH(&shared.semaphore)
        pass_time(self->random & 63);
}

static void condition(struct victim *self)
{
    FX_WITH(&shared.lock) {
        FX_TRY {
            expect_int(shared.owner, ==, 0);
            if (self->random & 31)
                fx_condition_wait_for(&shared.condition, &shared.lock, FX_USEC(self->random & 255));
            else
                fx_condition_wait(&shared.condition, &shared.lock);
        } FX_FINALLY {
            expect_int(shared.owner, ==, 0); /* nobody else has the lock */
        } FX_END
        fx_condition_notify(&shared.condition, 1);
    }
}

static void queue(struct victim *self)
{
    fx_stop_disable();
    if (self->random & 1)
        __atomic_fetch_add(&shared.puts, fx_queue_put_for(shared.queue, self, 0) == 0,
                           __ATOMIC_RELAXED);
    else
        __atomic_fetch_add(&shared.gets, fx_queue_get_for(shared.queue, 0, NULL) == 0,
                           __ATOMIC_RELAXED);
    fx_stop_enable();
    if (self->random % 32 == 0)
        fx_queue_get_for(shared.empty, FX_USEC(100), NULL);
}

static void sleeps(struct victim *self)
{
    fx_sleep((fx_nsec)(self->random & 65535));
}

static void waits(struct victim *self)
{
    if (self->random & 31)
        fx_event_wait_for(&shared.never, FX_USEC(20));
    else
        fx_event_wait(&shared.never);
}

/* System calls that a stop ends: nothing ever comes. */
static void reads_in_line(struct victim *self)
{
    char byte;
    if (self->random & 15)
        expect_int(fx_read_for(shared.silent[0], &byte, 1, -1, FX_USEC(20)), ==, -ETIMEDOUT);
    else
        fx_read(shared.silent[0], &byte, 1, -1);
}

static void loop_in_once(void *arg)
{
    pass_time(((struct victim *)arg)->random & 255);
}

static void once(struct victim *self)
{
    fx_once one = FX_ONCE_INIT;
    expect_int(fx_once_call(&one, loop_in_once, self), ==, 0);
}

/* --- places: libc --- */

static void mallocs(struct victim *self)
{
    unsigned char *volatile block = NULL;
    size_t size = 1 + (self->random & 2047);
    FX_TRY {
        block = malloc(size);
        expect(block != NULL);
        memset(block, (int)size & 255, size);
        expect(block[0] == (size & 255) && block[size - 1] == (size & 255));
    } FX_FINALLY {
        free(block);
    } FX_END
}

static void prints(struct victim *self)
{
    expect(fprintf(shared.stream, "%d %s %.3f\n", self->present, "victim",
                   (double)(self->random & 1023) / 7) > 0);
}

static int compare(const void *one, const void *other)
{
    void *block = malloc(60);
    memset(block, 0, 60);
    free(block);
    return *(const int *)one - *(const int *)other;
}

static void sorts(struct victim *self)
{
    int numbers[40];
    for (int i = 0; i < 40; i++)
        numbers[i] = (int)(self->random >> i & 255);
    qsort(numbers, 40, sizeof *numbers, compare);
    for (int i = 1; i < 40; i++)
        expect(numbers[i - 1] <= numbers[i]);
}

static void clears(struct victim *self)
{
    static _Thread_local char memory[1 << 17];
    memset(memory, (int)self->random, sizeof memory);
}

static void opens(struct victim *self)
{
    FILE *file = fopen(self->random & 1 ? "/dev/null" : "/proc/self/stat", "re");
    if (file)
        fclose(file);
}

static int look_at_object(struct dl_phdr_info *info, size_t size, void *objects)
{
    (void)size;
    (void)info;
    pass_time(50);
    ++*(int *)objects;
    return 0;
}

static void walks_objects(struct victim *self)
{
    int objects = 0;
    (void)self;
    dl_iterate_phdr(look_at_object, &objects);
    expect(objects > 1);
}

static void loads(struct victim *self)
{
    if (self->random & 15)
        return;
    void *module = dlopen("libm.so.6", RTLD_LAZY);
    expect(module != NULL);
    dlclose(module);
}

static void sleeps_in_libc(struct victim *self)
{
    struct timespec time = { 0, (long)(self->random & 65535) };
    expect(nanosleep(&time, NULL) == 0 || errno == EINTR);
}

static void reads(struct victim *self)
{
    char byte;
    struct pollfd in = { .fd = shared.silent[0], .events = POLLIN };
    if (self->random & 31)
        expect(poll(&in, 1, 1) == 0 || errno == EINTR);
    else
        expect(read(shared.silent[0], &byte, 1) == -1 && errno == EINTR);
}

/* --- places: other ways to leave a frame, or a process --- */

static _Thread_local sigjmp_buf environment;

static int jump_out(const void *one, const void *other)
{
    (void)one;
    (void)other;
    siglongjmp(environment, 1);
}

static void jumps(struct victim *self)
{
    if (sigsetjmp(environment, 0) == 0) {
        int numbers[] = { (int)self->random, 1 };
        qsort(numbers, 2, sizeof *numbers, jump_out);
    }
}

static _Thread_local ucontext_t own_context, other_context;

static void run_on_other_stack(void)
{
    pass_time(100);
    setcontext(&own_context);
}

static void switches(struct victim *self)
{
    char stack[65536];
    (void)self;
    getcontext(&other_context);
    other_context.uc_stack.ss_sp = stack;
    other_context.uc_stack.ss_size = sizeof stack;
    other_context.uc_link = NULL;
    makecontext(&other_context, run_on_other_stack, 0);
    swapcontext(&own_context, &other_context);
}

static void vforks(struct victim *self)
{
    if (self->random & 31)
        return;
    pid_t child = vfork();
    if (child == 0)
        _exit(0);
    if (child > 0) /* main may have reaped it */
        waitpid(child, NULL, 0);
}

static void forks(struct victim *self)
{
    if (self->random & 127)
        return;
    pid_t child = fork();
    if (child == 0) {
        fx_checkpoint();
        _exit(fx_stop_requested());
    }
}

static const struct place {
    const char *name;
    void (*run)(struct victim *);
    bool without_stop_point; /* reached asynchronously only */
    bool not_with_sanitizer;
} places[] = {
    { "loop", loop, true, false },
    { "compute", compute, true, false },
    { "scopes", scopes, true, false },
    { "raise", raises, true, false },
    { "lock", with_lock, false, false },
    { "rlock", with_rlock, true, false },
    { "rwlock", with_rwlock, true, false },
    { "semaphore", with_semaphore, true, false },
    { "condition", condition, false, false },
    { "queue", queue, false, false },
    { "sleep", sleeps, false, false },
    { "event", waits, false, false },
    { "fx_read", reads_in_line, false, false },
    { "once", once, true, false },
    { "malloc", mallocs, true, false },
    { "printf", prints, true, false },
    { "qsort", sorts, true, false },
    { "memset", clears, true, false },
    { "fopen", opens, true, false },
    { "dl_iterate_phdr", walks_objects, true, false },
    { "dlopen", loads, true, true },
    { "nanosleep", sleeps_in_libc, true, false },
    { "read and poll", reads, true, false },
    { "longjmp", jumps, true, true },
    { "swapcontext", switches, true, true },
    { "vfork", vforks, true, true },
    { "fork", forks, true, true },
};

enum { PLACES = sizeof places / sizeof *places };

/* Of the stops that found a victim there, and at the end those before any place. */
static struct {
    uint64_t stops;
    double seconds, most; /* until the victim's last block ran */
} seen[PLACES + 1];
static uint64_t returned_first, never_began;

/* --- victims --- */

static bool may_run(const struct place *place)
{
#if defined FXI_ASAN || defined FXI_TSAN
    if (place->not_with_sanitizer)
        return false;
#endif
    return !(THREADS_ARE_PTHREADS && place->without_stop_point);
}

static void go_round(struct victim *self)
{
    for (int turn = 1; self->turns == 0 || turn <= self->turns; turn++) {
        next_random(&self->random);
        int chosen = self->only >= 0 ? self->only : (int)(self->random >> 40) % PLACES;
        if (may_run(&places[chosen])) {
            __atomic_store_n(&self->present, chosen, __ATOMIC_RELAXED);
            places[chosen].run(self);
        }
        if (THREADS_ARE_PTHREADS)
            fx_checkpoint();
    }
}

static void *victim_run(void *arg)
{
    struct victim *self = arg;
    FX_TRY {
        __atomic_store_n(&self->there, 1, __ATOMIC_RELEASE);
        volatile bool again;
        do {
            again = false;
            FX_TRY {
                go_round(self);
            } FX_EXCEPT_IF(e, e == 42) {
                self->taken++;
                again = true;
            } FX_END
        } while (again);
        self->returned = true;
    } FX_FINALLY {
        self->finally++;
        self->ended = fx_now();
    } FX_END
    return self;
}

/* --- what goes on meanwhile --- */

static int running;

static void *use_heap_and_stream(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg;
    unsigned char *blocks[64] = { NULL };
    size_t sizes[64];
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE)) {
        size_t i = next_random(&random) & 63;
        if (blocks[i]) {
            expect(blocks[i][0] == i && blocks[i][sizes[i] - 1] == i);
            free(blocks[i]);
        }
        sizes[i] = 1 + (random >> 20 & 4095);
        blocks[i] = malloc(sizes[i]);
        expect(blocks[i] != NULL);
        memset(blocks[i], (int)i, sizes[i]);
        if (i < 8)
            expect(fprintf(shared.stream, "%s %zu\n", "bystander", sizes[i]) > 0);
        if (i < 4) /* the victims are to have the processors */
            fx_sleep(FX_USEC(200));
    }
    for (size_t i = 0; i < 64; i++)
        free(blocks[i]);
    return NULL;
}

static void handle(int number)
{
    (void)number;
    pass_time(100);
}

/* An exception that came before its block, or behind it. */
static void keep_quiet(fx_thread *thread, const fx_exc_info *info)
{
    (void)thread;
    expect_int(info->code, ==, 42);
}

/* --- rounds --- */

static void start(struct victim *victim, uint64_t *random)
{
    uint64_t choice = next_random(random);
    *victim = (struct victim){ .random = choice | 1, .present = PLACES };
    victim->only = choice >> 8 & 1 ? -1 : (int)(choice >> 16) % PLACES;
    if (!THREADS_ARE_PTHREADS && (choice >> 12 & 7) == 0)
        victim->turns = 1 + (int)(choice >> 32 & 15);
    victim->thread = fx_thread_spawn(victim_run, victim);
    if (!victim->thread) {
        perror("fx_thread_spawn");
        abort();
    }
}

static void ask(struct victim *victim, uint64_t *random)
{
    uint64_t choice = next_random(random);
    if (choice & 15) {
        while (!__atomic_load_n(&victim->there, __ATOMIC_ACQUIRE))
            syscall(SYS_sched_yield);
        pass_time(choice >> 20 & 32767);
    }
    if ((choice >> 4 & 7) == 0) {
        int rc = fx_thread_raise(victim->thread, 42);
        expect(rc == 0 || rc == -ESRCH);
        pass_time(choice >> 36 & 8191);
    }
    if ((choice >> 8 & 7) == 0)
        syscall(SYS_tgkill, getpid(), fx_thread_native_id(victim->thread), SIGUSR1);
    victim->asked = fx_now();
    int rc = fx_thread_stop(victim->thread);
    expect(rc == 0 || rc == -ESRCH);
    if ((choice >> 12 & 7) == 0)
        fx_thread_stop(victim->thread);
}

static void note_stop(const struct victim *victim)
{
    double took = victim->finally ? (double)(victim->ended - victim->asked) / 1e9 : 0;
    took = took > 0 ? took : 0; /* the exception that was asked first has ended it */
    seen[victim->present].stops++;
    seen[victim->present].seconds += took;
    if (took > seen[victim->present].most)
        seen[victim->present].most = took;
}

static void collect(struct victim *victim, uint64_t seed)
{
    int rc = fx_thread_join_for(victim->thread, FX_SEC(await_limit()), NULL);
    if (rc != 0) {
        int at = __atomic_load_n(&victim->present, __ATOMIC_RELAXED);
        fprintf(stderr, "seed %llu: a victim at %s (%s, thread %d) does not end\n",
                (unsigned long long)seed, at < PLACES ? places[at].name : "its beginning",
                victim->only < 0 ? "of many" : "alone", (int)fx_thread_native_id(victim->thread));
        abort();
    }
    fx_exc exception = fx_thread_exception(victim->thread);
    if (victim->returned && exception == 0) {
        returned_first++;
    } else {
        /* One that was asked before it could take it ends by the other exception. */
        expect(exception == FX_STOPPED || (exception == 42 && !victim->returned));
        note_stop(victim);
    }
    if (!victim->there) {
        never_began++;
        expect_int(victim->finally, <=, 1); /* 1: stopped between the block and what says so */
    } else {
        expect_int(victim->finally, <=, 1);
        expect(victim->finally == 1 || victim->present == PLACES); /* stopped before its block */
    }
    expect(victim->left >= victim->entered && victim->left <= victim->entered + 1 + victim->taken);
    fx_thread_unref(victim->thread);
}

static void look_at_what_is_shared(void)
{
    expect(!fx_lock_locked(&shared.lock));
    expect(!fx_rlock_locked(&shared.rlock));
    expect_int(fx_semaphore_value(&shared.semaphore), ==, 2);
    expect(fx_rwlock_try_acquire_write(&shared.rwlock));
    expect_int(fx_rwlock_release_write(&shared.rwlock), ==, 0);
    expect_int(shared.owner, ==, 0);
    expect_int(shared.one, ==, shared.other);
    expect_int(fx_queue_size(shared.queue), ==, shared.puts - shared.gets);
    expect_int(fx_queue_size(shared.empty), ==, 0);
    flockfile(shared.stream); /* which hangs if a stop has left it locked */
    funlockfile(shared.stream);
    int status;
    while (waitpid(-1, &status, WNOHANG) > 0)
        expect_int(status, ==, 0);
}

/* Streams that a stop has cut off from their owners: their descriptors. */
static void sweep(int first_spare)
{
    for (int fd = first_spare; fd < 1024; fd++)
        close(fd);
}

static void report(uint64_t done, uint64_t stops, double begin)
{
    fprintf(stderr, "%llu of %llu stops, %.0f a second\n", (unsigned long long)done,
            (unsigned long long)stops, (double)done / (await_now() - begin));
}

static void storm(uint64_t stops, int victims, uint64_t seed)
{
    static struct victim victim[VICTIMS_MAX];
    uint64_t random = seed * 2654435761u + 1, done = 0;
    double begin = await_now(), told = begin;
    int first_spare = dup(0);
    close(first_spare);
    for (uint64_t round = 1; done < stops && !record_failure(); round++) {
        for (int i = 0; i < victims; i++)
            start(&victim[i], &random);
        for (int i = 0; i < victims; i++)
            ask(&victim[i], &random);
        for (int i = 0; i < victims; i++)
            collect(&victim[i], seed);
        done += (uint64_t)victims;
        look_at_what_is_shared();
        if (round % ROUNDS_A_SWEEP == 0)
            sweep(first_spare);
        if (await_now() - told > 5) {
            told = await_now();
            report(done, stops, begin);
        }
    }
}

int main(int argc, char **argv)
{
    uint64_t stops = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)scaled(20000);
    int victims = argc > 2 ? atoi(argv[2]) : 4;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    if (victims < 1 || victims > VICTIMS_MAX) {
        fprintf(stderr, "usage: stress_stop [stops] [victims at once, at most %d] [seed]\n",
                VICTIMS_MAX);
        return 2;
    }
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = handle, .sa_flags = SA_RESTART }, NULL);
    fx_set_excepthook(keep_quiet);
    shared.stream = fopen("/dev/null", "we");
    shared.queue = fx_queue_new(FX_QUEUE_FIFO, 100);
    shared.empty = fx_queue_new(FX_QUEUE_FIFO, 0);
    if (!shared.stream || !shared.queue || !shared.empty || pipe(shared.silent) != 0)
        return EXIT_FAILURE;

    fx_thread *bystanders[2];
    running = 1;
    for (uintptr_t i = 0; i < 2; i++)
        bystanders[i] = fx_thread_spawn(use_heap_and_stream, (void *)(i + 77));
    storm(stops, victims, seed);
    __atomic_store_n(&running, 0, __ATOMIC_RELEASE);
    for (size_t i = 0; i < 2; i++) {
        expect_int(fx_thread_join_for(bystanders[i], FX_SEC(await_limit()), NULL), ==, 0);
        fx_thread_unref(bystanders[i]);
    }

    for (int i = 0; i <= PLACES; i++)
        printf("%8llu stopped at %-15s in %9.0f us each, %9.0f at most\n",
               (unsigned long long)seen[i].stops, i < PLACES ? places[i].name : "their beginning",
               seen[i].stops ? seen[i].seconds * 1e6 / (double)seen[i].stops : 0,
               seen[i].most * 1e6);
    printf("%8llu never began, %llu returned first\n", (unsigned long long)never_began,
           (unsigned long long)returned_first);
    return record_status();
}
