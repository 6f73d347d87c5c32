/* Primitives that wait, under stress: stress_sync [turns [seed]].
 *
 * A crew acts at random on one primitive after the other, each turn with a timeout of its own,
 * while signals arrive at its threads and futex calls fail for nothing. What each primitive
 * promises is counted, and at the end nothing is missing and nobody still waits. By hand:
 *
 *     stress_sync 2000000 7
 */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../support/await.h"
#include "../support/scale.h"
#include "kernel/inject.h"
#include "park/park.h"

#define require(condition)                                                                  \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                        \
        }                                                                                   \
    } while (0)

enum { CREW = 6 };

struct member {
    int index;
    unsigned seed;
    long turns;
    void (*act)(struct member *);
};

static unsigned roll(struct member *member, unsigned sides)
{
    return (unsigned)rand_r(&member->seed) % sides;
}

/* None, a little, or enough that others come in between. */
static fx_nsec random_timeout(struct member *member)
{
    switch (roll(member, 4)) {
    case 0:
        return 0;
    case 1:
        return FX_USEC(roll(member, 20));
    case 2:
        return FX_USEC(roll(member, 200));
    default:
        return FX_MSEC(2);
    }
}

static void pause_a_little(struct member *member)
{
    if (roll(member, 8) == 0)
        fx_sleep(FX_USEC(roll(member, 60)));
}

/* --- what disturbs ---------------------------------------------------------------------------- */

static atomic_bool undisturbed;

static void on_signal(int number)
{
    (void)number;
}

static void *disturb(void *arg)
{
    fx_thread **crew = arg;
    unsigned seed = 77;
    while (!atomic_load(&undisturbed)) {
        static const int errors[] = {EINTR, EAGAIN};
        pid_t id = fx_thread_native_id(crew[(unsigned)rand_r(&seed) % CREW]);
        if (id > 0)
            syscall(SYS_tgkill, getpid(), id, SIGUSR1);
        fxi_inject_arm(FXI_INJECT_FUTEX_WAIT, 1 + (unsigned)rand_r(&seed) % 3,
                       errors[(unsigned)rand_r(&seed) % 2]);
        fx_sleep(FX_USEC(20 + (unsigned)rand_r(&seed) % 100));
    }
    fxi_inject_disarm();
    return NULL;
}

static void *act_in_turn(void *arg)
{
    struct member *member = arg;
    for (long turn = 0; turn < member->turns; turn++)
        member->act(member);
    return NULL;
}

static void run_crew(const char *name, void (*act)(struct member *), long turns, unsigned seed)
{
    fx_thread *crew[CREW], *disturber;
    struct member members[CREW];
    double begin = await_now();
    for (int i = 0; i < CREW; i++) {
        members[i] = (struct member){i, seed * CREW + (unsigned)i + 1, turns / CREW, act};
        require(crew[i] = fx_thread_spawn(act_in_turn, &members[i]));
    }
    atomic_store(&undisturbed, false);
    require(disturber = fx_thread_spawn(disturb, crew));
    for (int i = 0; i < CREW; i++)
        require(fx_thread_join_for(crew[i], FX_SEC(10 * await_limit()), NULL) == 0);
    atomic_store(&undisturbed, true);
    require(fx_thread_join(disturber, NULL) == 0);
    fx_thread_unref(disturber);
    for (int i = 0; i < CREW; i++)
        fx_thread_unref(crew[i]);
    printf("%-10s %ld turns in %.2f s\n", name, turns, await_now() - begin);
    fflush(stdout);
}

/* --- semaphore: never more inside than there are units, and all units are there at last ------- */

enum { UNITS = 3 };
static fx_semaphore units = FX_BOUNDED_SEMAPHORE_INIT(UNITS);
static atomic_int with_unit;

static void act_on_semaphore(struct member *member)
{
    uint32_t n = 0, wanted = 1 + roll(member, 2);
    while (n < wanted && fx_semaphore_acquire_for(&units, random_timeout(member)) == 0)
        n++;
    require(atomic_fetch_add(&with_unit, (int)n) + (int)n <= UNITS);
    pause_a_little(member);
    atomic_fetch_sub(&with_unit, (int)n);
    require(fx_semaphore_release(&units, n) == (n ? 0 : -EINVAL));
}

static void check_semaphore(void)
{
    require(fx_semaphore_value(&units) == UNITS && (units.word & 1) == 0);
    require(fxi_park_count(&units) == 0);
}

/* --- event: nobody sleeps over a set ---------------------------------------------------------- */

static fx_event event;

static void act_on_event(struct member *member)
{
    if (member->index == 0) {
        fx_event_set(&event);
        pause_a_little(member);
        if (roll(member, 2))
            fx_event_clear(&event);
        return;
    }
    int rc = fx_event_wait_for(&event, random_timeout(member));
    require(rc == 0 || rc == -ETIMEDOUT);
    if (roll(member, 3) == 0)
        fx_event_clear(&event);
}

static void check_event(void)
{
    require(fxi_park_count(&event) == 0 && (event.word & 2) == 0);
}

/* --- condition: as many tokens are taken as are made, each by one that was told of it --------- */

static struct {
    fx_lock lock;
    fx_rlock rlock;
    fx_condition condition[2]; /* with the lock, and with the rlock */
    long tokens[2], made[2], taken[2];
} store;

static bool has_token(void *arg)
{
    return *(long *)arg > 0;
}

static void act_on_condition(struct member *member)
{
    int which = (int)roll(member, 2);
    long *tokens = &store.tokens[which];
    fx_condition *condition = &store.condition[which];
    require((which ? fx_rlock_acquire(&store.rlock) : fx_lock_acquire(&store.lock)) == 0);
    bool unlocked = false;
    if (member->index % 2) {
        fx_deadline end = fx_deadline_after(random_timeout(member));
        int rc = which ? fx_condition_wait_pred(condition, &store.rlock, has_token, tokens, end)
                       : fx_condition_wait_pred(condition, &store.lock, has_token, tokens, end);
        require(rc == (*tokens > 0 ? 0 : -ETIMEDOUT));
        if (rc == 0) {
            --*tokens;
            store.taken[which]++;
        }
    } else {
        long n = 1 + (long)roll(member, 3);
        *tokens += n;
        store.made[which] += n;
        unlocked = roll(member, 2);
        if (!unlocked)
            fx_condition_notify(condition, (size_t)n);
        else
            require((which ? fx_rlock_release(&store.rlock) : fx_lock_release(&store.lock)) == 0);
        if (unlocked)
            fx_condition_notify(condition, (size_t)n);
    }
    if (!unlocked)
        require((which ? fx_rlock_release(&store.rlock) : fx_lock_release(&store.lock)) == 0);
    pause_a_little(member);
}

static void check_condition(void)
{
    for (int i = 0; i < 2; i++) {
        require(store.made[i] == store.taken[i] + store.tokens[i]);
        require(fxi_park_count(&store.condition[i]) == 0);
    }
    require(!fx_lock_locked(&store.lock) && !fx_rlock_owned(&store.rlock));
}

/* --- one that takes and one that makes, without timeouts: a lost wake is a hang --------------- */

static void act_on_condition_for_ever(struct member *member)
{
    fx_condition *condition = &store.condition[0];
    require(fx_lock_acquire(&store.lock) == 0);
    if (member->index % 2) {
        while (store.tokens[0] == 0)
            require(fx_condition_wait(condition, &store.lock) == 0);
        store.tokens[0]--;
        store.taken[0]++;
    } else {
        store.tokens[0]++;
        store.made[0]++;
        fx_condition_notify(condition, 1);
    }
    require(fx_lock_release(&store.lock) == 0);
    pause_a_little(member);
}

/* --- rwlock: readers and writers exclude each other ------------------------------------------- */

static fx_rwlock rwlock;
static atomic_int reading, writing;

static void act_on_rwlock(struct member *member)
{
    if (roll(member, 4)) {
        if (fx_rwlock_acquire_read_for(&rwlock, random_timeout(member)) != 0)
            return;
        atomic_fetch_add(&reading, 1);
        require(atomic_load(&writing) == 0);
        pause_a_little(member);
        atomic_fetch_sub(&reading, 1);
        require(fx_rwlock_release_read(&rwlock) == 0);
    } else {
        if (fx_rwlock_acquire_write_for(&rwlock, random_timeout(member)) != 0)
            return;
        require(atomic_fetch_add(&writing, 1) == 0 && atomic_load(&reading) == 0);
        pause_a_little(member);
        atomic_fetch_sub(&writing, 1);
        require(fx_rwlock_release_write(&rwlock) == 0);
    }
}

static void act_on_rwlock_for_ever(struct member *member)
{
    if (roll(member, 4)) {
        require(fx_rwlock_acquire_read(&rwlock) == 0);
        require(atomic_load(&writing) == 0);
        pause_a_little(member);
        require(fx_rwlock_release_read(&rwlock) == 0);
    } else {
        require(fx_rwlock_acquire_write(&rwlock) == 0);
        require(atomic_fetch_add(&writing, 1) == 0);
        atomic_fetch_sub(&writing, 1);
        require(fx_rwlock_release_write(&rwlock) == 0);
    }
}

static void check_rwlock(void)
{
    require(rwlock.word == 0 && fxi_park_count(&rwlock) == 0);
}

/* --- barrier: a round passes for all or for none, whatever breaks it -------------------------- */

enum { PARTIES = 3 };
static fx_barrier barrier;
static atomic_int actions, passed;

static void count_action(void *arg)
{
    (void)arg;
    atomic_fetch_add(&actions, 1);
}

static void act_on_barrier(struct member *member)
{
    int rc = roll(member, 20) == 0 ? fx_barrier_wait_for(&barrier, random_timeout(member))
                                   : fx_barrier_wait_for(&barrier, FX_MSEC(20));
    require((rc >= 0 && rc < PARTIES) || rc == -EPIPE || rc == -ETIMEDOUT);
    if (rc >= 0)
        atomic_fetch_add(&passed, 1);
    if (roll(member, 50) == 0)
        fx_barrier_abort(&barrier);
    if (rc < 0 || roll(member, 50) == 0)
        fx_barrier_reset(&barrier);
}

static void check_barrier(void)
{
    /* An abort or a reset may come while the action runs, and turn its round away. */
    require(atomic_load(&passed) % PARTIES == 0);
    require(atomic_load(&passed) <= PARTIES * atomic_load(&actions));
    require(atomic_load(&passed) > 0);
    require(fx_barrier_n_waiting(&barrier) == 0 && fxi_park_count(&barrier) == 0);
}

/* --- queue: what is put is got, once ---------------------------------------------------------- */

static fx_queue *queue;
static atomic_llong put_sum, got_sum;

static void act_on_queue(struct member *member)
{
    void *item;
    if (member->index % 2) {
        int rc = fx_queue_get_for(queue, random_timeout(member), &item);
        require(rc == 0 || rc == -ETIMEDOUT);
        if (rc != 0)
            return;
        atomic_fetch_add(&got_sum, (long long)(intptr_t)item);
        require(fx_queue_task_done(queue) == 0);
    } else {
        long long n = 1 + (long long)roll(member, 1000000);
        int rc = fx_queue_put_for(queue, (void *)(intptr_t)n, random_timeout(member));
        require(rc == 0 || rc == -ETIMEDOUT);
        if (rc == 0)
            atomic_fetch_add(&put_sum, n);
    }
    pause_a_little(member);
}

static void drain_queue(void)
{
    void *item;
    while (fx_queue_get_for(queue, 0, &item) == 0) {
        atomic_fetch_add(&got_sum, (long long)(intptr_t)item);
        require(fx_queue_task_done(queue) == 0);
    }
    require(fx_queue_join_for(queue, 0) == 0);
    require(atomic_load(&put_sum) == atomic_load(&got_sum));
    fx_queue_unref(queue);
}

int main(int argc, char **argv)
{
    long turns = argc > 1 ? strtol(argv[1], NULL, 10) : scaled(30000);
    const char *text = argc > 2 ? argv[2] : getenv("FX_TEST_SEED");
    unsigned seed = text ? (unsigned)strtoul(text, NULL, 10) : 1;
    printf("seed %u\n", seed);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);

    run_crew("semaphore", act_on_semaphore, turns, seed);
    check_semaphore();
    run_crew("event", act_on_event, turns, seed);
    check_event();
    run_crew("condition", act_on_condition, turns, seed);
    check_condition();
    memset(&store, 0, sizeof store);
    run_crew("  for ever", act_on_condition_for_ever, turns, seed);
    check_condition();
    run_crew("rwlock", act_on_rwlock, turns, seed);
    check_rwlock();
    run_crew("  for ever", act_on_rwlock_for_ever, turns, seed);
    check_rwlock();
    require(fx_barrier_init(&barrier, PARTIES, count_action, NULL) == 0);
    run_crew("barrier", act_on_barrier, turns / 4, seed);
    check_barrier();
    for (int kind = FX_QUEUE_FIFO; kind <= FX_QUEUE_PRIORITY; kind++) {
        require(queue = fx_queue_new((fx_queue_kind)kind, kind == FX_QUEUE_LIFO ? 0 : 4));
        run_crew("queue", act_on_queue, turns, seed);
        drain_queue();
    }
    return EXIT_SUCCESS;
}
