/* Probes of the pthread functions that act on the calling thread, or know it by its TCB. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <fxthread.h>

#include "probes.h"

/* --- who the thread is ------------------------------------------------------------------------ */

void probe_self(int number)
{
    (void)number;
    pthread_t self = pthread_self();
    expect(self != 0 && pthread_equal(self, pthread_self()));

    clockid_t clock;
    struct timespec before, after;
    if (expect_int(pthread_getcpuclockid(self, &clock), ==, 0)) {
        expect_int(clock_gettime(clock, &before), ==, 0);
        expect_int(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after), ==, 0);
        expect_int(before.tv_sec, <=, after.tv_sec);
    }
    int policy = -1;
    struct sched_param param;
    expect_int(pthread_getschedparam(self, &policy, &param), ==, 0);
    expect_int(policy, ==, sched_getscheduler(0));
}

void probe_stack_bounds(int number)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t size = 0;
    if (!expect_int(pthread_getattr_np(pthread_self(), &attr), ==, 0))
        return;
    expect_int(pthread_attr_getstack(&attr, &low, &size), ==, 0);
    expect_int(size, >=, 32768);
    expect((char *)&number >= (char *)low && (char *)&number < (char *)low + size);
    expect((char *)__builtin_frame_address(0) < (char *)low + size);
    pthread_attr_destroy(&attr);
}

void probe_thread_name(int number)
{
    char before[16] = "", wanted[16], got[32] = "";
    expect_int(pthread_getname_np(pthread_self(), before, sizeof before), ==, 0);
    snprintf(wanted, sizeof wanted, "probe %d", number);
    expect_int(pthread_setname_np(pthread_self(), wanted), ==, 0);
    expect_int(pthread_getname_np(pthread_self(), got, sizeof got), ==, 0);
    expect(strcmp(got, wanted) == 0);

    int fd = open("/proc/thread-self/comm", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) { /* the name is the kernel's thread's, and no other's */
        ssize_t n = read(fd, got, sizeof got - 1);
        got[n > 0 ? n - 1 : 0] = '\0';
        expect(strcmp(got, wanted) == 0);
        close(fd);
    }
    expect_int(pthread_setname_np(pthread_self(), before), ==, 0);
}

/* --- signals ---------------------------------------------------------------------------------- */

static _Thread_local volatile sig_atomic_t signals_seen;
static _Thread_local volatile int last_signal, last_value;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)context;
    signals_seen++;
    last_signal = signal;
    last_value = info->si_value.sival_int;
}

void probe_signals(int number)
{
    int seen = signals_seen;
    expect_int(pthread_kill(pthread_self(), SIGUSR1), ==, 0);
    expect_int(signals_seen, ==, seen + 1);
    expect_int(last_signal, ==, SIGUSR1);
    expect_int(raise(SIGUSR2), ==, 0);
    expect_int(signals_seen, ==, seen + 2);
    expect_int(last_signal, ==, SIGUSR2);

    sigset_t all, before, now;
    sigfillset(&all);
    expect_int(pthread_sigmask(SIG_SETMASK, &all, &before), ==, 0);
    expect_int(sigismember(&before, SIGUSR1), ==, 0);
    expect_int(pthread_kill(pthread_self(), SIGUSR1), ==, 0);
    expect_int(signals_seen, ==, seen + 2);
    expect_int(sigpending(&now), ==, 0);
    expect_int(sigismember(&now, SIGUSR1), ==, 1);
    expect_int(pthread_sigmask(SIG_SETMASK, &before, NULL), ==, 0);
    expect_int(signals_seen, ==, seen + 3);

    union sigval value = {.sival_int = number};
    expect_int(pthread_sigqueue(pthread_self(), SIGUSR2, value), ==, 0);
    expect_int(signals_seen, ==, seen + 4);
    expect_int(last_value, ==, number);
}

/* --- keys ------------------------------------------------------------------------------------- */

enum { KEYS = 40 }; /* the last ones lie beyond those that the TCB itself has room for */

struct key_value {
    pthread_t owner;
    int number;
    int rounds_left; /* how often its destructor sets it again */
};

static pthread_key_t keys[KEYS], key_without_destructor;
static atomic_int values_made, values_destroyed, destructor_calls;

static void destroy_value(void *pointer)
{
    struct key_value *value = pointer;
    atomic_fetch_add(&destructor_calls, 1);
    expect(pthread_equal(value->owner, pthread_self()));
    if (value->rounds_left-- > 0) {
        expect(pthread_getspecific(keys[value->number]) == NULL);
        expect_int(pthread_setspecific(keys[value->number], value), ==, 0);
        return;
    }
    free(value);
    atomic_fetch_add(&values_destroyed, 1);
}

void probe_keys(int number)
{
    static const int used[] = {0, KEYS / 2, KEYS - 1};
    for (int i = 0; i < 3; i++) {
        expect(pthread_getspecific(keys[used[i]]) == NULL);
        struct key_value *value = malloc(sizeof *value);
        if (!expect(value != NULL))
            return;
        *value = (struct key_value){pthread_self(), used[i], i};
        atomic_fetch_add(&values_made, 1);
        expect_int(pthread_setspecific(keys[used[i]], value), ==, 0);
    }
    expect(pthread_getspecific(key_without_destructor) == NULL);
    expect_int(pthread_setspecific(key_without_destructor, &keys[number % KEYS]), ==, 0);
    sched_yield();
    for (int i = 0; i < 3; i++) {
        struct key_value *value = pthread_getspecific(keys[used[i]]);
        expect(value && pthread_equal(value->owner, pthread_self()) && value->number == used[i]);
    }
    expect(pthread_getspecific(key_without_destructor) == &keys[number % KEYS]);
}

/* --- locks ------------------------------------------------------------------------------------ */

struct counted_mutex {
    pthread_mutex_t mutex;
    int count; /* guarded by it */
    atomic_int wanted;
};

static struct counted_mutex normal, recursive, errorcheck, adaptive, robust, robust_recursive;
static struct counted_mutex inheriting, inheriting_recursive, inheriting_robust;
static struct counted_mutex *const all_mutexes[] = {
    &normal,     &recursive,            &errorcheck,       &adaptive, &robust, &robust_recursive,
    &inheriting, &inheriting_recursive, &inheriting_robust};
enum { ALL_MUTEXES = sizeof all_mutexes / sizeof all_mutexes[0] };

static void make_mutex(struct counted_mutex *counted, int type, int robustness, int protocol)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, type);
    pthread_mutexattr_setrobust(&attr, robustness);
    pthread_mutexattr_setprotocol(&attr, protocol);
    expect_int(pthread_mutex_init(&counted->mutex, &attr), ==, 0);
    pthread_mutexattr_destroy(&attr);
}

/* Counts under the mutex, which `depth` acquisitions hold. */
static void count_under(struct counted_mutex *counted, int rounds, int depth)
{
    for (int i = 0; i < rounds; i++) {
        for (int d = 0; d < depth; d++)
            if (!expect_int(pthread_mutex_lock(&counted->mutex), ==, 0))
                return;
        int count = counted->count;
        if (i == 0)
            sched_yield();
        counted->count = count + 1;
        for (int d = 0; d < depth; d++)
            expect_int(pthread_mutex_unlock(&counted->mutex), ==, 0);
        atomic_fetch_add(&counted->wanted, 1);
    }
}

void probe_mutexes(int number)
{
    (void)number;
    count_under(&normal, 20, 1);
    count_under(&recursive, 20, 3);
    count_under(&errorcheck, 20, 1);
    count_under(&adaptive, 20, 1);

    expect_int(pthread_mutex_lock(&errorcheck.mutex), ==, 0);
    expect_int(pthread_mutex_lock(&errorcheck.mutex), ==, EDEADLK);
    expect_int(pthread_mutex_trylock(&errorcheck.mutex), ==, EBUSY);
    expect_int(pthread_mutex_unlock(&errorcheck.mutex), ==, 0);
    expect_int(pthread_mutex_unlock(&errorcheck.mutex), ==, EPERM);
    expect_int(pthread_mutex_unlock(&recursive.mutex), ==, EPERM);
}

void probe_robust_mutex(int number)
{
    (void)number;
    count_under(&robust, 10, 1);
    count_under(&robust_recursive, 10, 2);
    expect_int(pthread_mutex_unlock(&robust_recursive.mutex), ==, EPERM);
}

void probe_priority_inheritance(int number)
{
    (void)number;
    /* the kernel looks at the owner's thread id in the word */
    count_under(&inheriting, 10, 1);
    count_under(&inheriting_recursive, 10, 2);
    count_under(&inheriting_robust, 10, 1);
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static int rwlock_count;
static atomic_int rwlock_wanted;

void probe_rwlock(int number)
{
    for (int i = 0; i < 10; i++) {
        expect_int(pthread_rwlock_wrlock(&rwlock), ==, 0);
        int count = rwlock_count;
        if (i == number % 10)
            sched_yield();
        rwlock_count = count + 1;
        expect_int(pthread_rwlock_rdlock(&rwlock), ==, EDEADLK); /* it knows its owner */
        expect_int(pthread_rwlock_unlock(&rwlock), ==, 0);
        atomic_fetch_add(&rwlock_wanted, 1);
        expect_int(pthread_rwlock_rdlock(&rwlock), ==, 0);
        expect_int(rwlock_count, >, 0);
        expect_int(pthread_rwlock_unlock(&rwlock), ==, 0);
    }
}

static pthread_once_t global_once = PTHREAD_ONCE_INIT, many_onces[64];
static atomic_int global_once_calls, many_once_calls;

static void count_global_once(void)
{
    sched_yield();
    atomic_fetch_add(&global_once_calls, 1);
}

static void count_many_once(void)
{
    atomic_fetch_add(&many_once_calls, 1);
}

void probe_once(int number)
{
    expect_int(pthread_once(&global_once, count_global_once), ==, 0);
    expect_int(atomic_load(&global_once_calls), ==, 1);
    expect_int(pthread_once(&many_onces[number % 64], count_many_once), ==, 0);
    expect_int(atomic_load(&many_once_calls), <=, 64);
}

/* --- conditions, and a partner ---------------------------------------------------------------- */

void probe_condition(int number)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    struct timespec past;
    clock_gettime(CLOCK_REALTIME, &past);
    past.tv_nsec += number % 1000;
    if (past.tv_nsec >= 1000000000)
        past.tv_nsec = 999999999;
    pthread_mutex_lock(&mutex);
    expect_int(pthread_cond_timedwait(&cond, &mutex, &past), ==, ETIMEDOUT);
    expect_int(pthread_mutex_trylock(&mutex), ==, EBUSY);
    pthread_mutex_unlock(&mutex);
    pthread_cond_destroy(&cond);
}

struct match {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int turns;
    pthread_t starter;
};

static void play(struct match *match, int side)
{
    pthread_mutex_lock(&match->mutex);
    for (int i = 0; i < 5; i++) {
        while (match->turns % 2 != side)
            pthread_cond_wait(&match->cond, &match->mutex);
        match->turns++;
        pthread_cond_signal(&match->cond);
    }
    pthread_mutex_unlock(&match->mutex);
}

static void *partner(void *arg)
{
    struct match *match = arg;
    expect_int(errno, ==, 0);
    errno = ERANGE;
    expect(!pthread_equal(match->starter, pthread_self()));
    char *text = malloc(100);
    if (expect(text != NULL)) {
        snprintf(text, 100, "%p %.2f", arg, 1.5);
        expect(strstr(text, "1.50") != NULL);
        free(text);
    }
    play(match, 1);
    return match;
}

void probe_pthread(int number)
{
    struct match match = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, pthread_self()};
    pthread_t thread;
    void *result = NULL;
    errno = EDOM;
    if (!expect_int(pthread_create(&thread, NULL, partner, &match), ==, 0))
        return;
    play(&match, 0);
    expect_int(pthread_join(thread, &result), ==, 0);
    expect(result == &match);
    expect_int(match.turns, ==, 10);
    expect_int(errno, ==, EDOM);
    expect_int(pthread_join(pthread_self(), NULL), ==, EDEADLK);
    (void)number;
    errno = 0;
}

/* --- before and after ------------------------------------------------------------------------- */

void probes_pthread_prepare(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    for (int i = 0; i < KEYS; i++)
        expect_int(pthread_key_create(&keys[i], destroy_value), ==, 0);
    expect_int(pthread_key_create(&key_without_destructor, NULL), ==, 0);
    make_mutex(&normal, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make_mutex(&recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make_mutex(&errorcheck, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make_mutex(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make_mutex(&robust, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
    make_mutex(&robust_recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST,
               PTHREAD_PRIO_NONE);
    make_mutex(&inheriting, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
    make_mutex(&inheriting_recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED,
               PTHREAD_PRIO_INHERIT);
    make_mutex(&inheriting_robust, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST,
               PTHREAD_PRIO_INHERIT);
}

void probes_pthread_finish(void)
{
    for (int i = 0; i < ALL_MUTEXES; i++) {
        expect_int(all_mutexes[i]->count, ==, atomic_load(&all_mutexes[i]->wanted));
        expect_int(pthread_mutex_destroy(&all_mutexes[i]->mutex), ==, 0);
    }
    expect_int(rwlock_count, ==, atomic_load(&rwlock_wanted));
    expect_int(atomic_load(&values_destroyed), ==, atomic_load(&values_made));
    /* three values a thread, set again 0, 1 and 2 times */
    expect_int(atomic_load(&destructor_calls), ==, 2 * atomic_load(&values_made));
    for (int i = 0; i < KEYS; i++)
        expect_int(pthread_key_delete(keys[i]), ==, 0);
}
