/* Futures under stress: stress_futures [rounds [seed]].
 *
 * In each round a crew acts at random on the same few promises: fulfils, cancels, waits for one
 * and for several, adds callbacks, makes continuations on a thread pool and stops them. What is
 * promised is counted: a future is done once and keeps its outcome, each callback is called once,
 * each continuation ends, and nobody still waits. By hand:
 *
 *     stress_futures 20000 7
 */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../support/scale.h"

#define require(condition)                                                              \
    do {                                                                                \
        if (!(condition)) {                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);     \
            abort();                                                                    \
        }                                                                               \
    } while (0)

enum { CREW = 4, PROMISES = 6, ACTS = 12, ROUNDS = 600, THENS = CREW * ACTS };

struct round {
    fx_future *promises[PROMISES];
    atomic_int fulfilled[PROMISES], cancelled[PROMISES];
    atomic_int added, called;
    atomic_int thens;
    fx_future *then[THENS];
    atomic_int then_ran;
};

struct member {
    struct round *round;
    fx_executor *pool;
    unsigned seed;
};

static unsigned roll(struct member *member, unsigned sides)
{
    return (unsigned)rand_r(&member->seed) % sides;
}

static void count_call(fx_future *future, void *round)
{
    require(fx_future_done(future));
    atomic_fetch_add(&((struct round *)round)->called, 1);
}

static void *count_then(fx_future *done, void *round)
{
    require(fx_future_done(done));
    fx_sleep(FX_USEC(50));
    atomic_fetch_add(&((struct round *)round)->then_ran, 1);
    return NULL;
}

static void fulfil(struct member *member, unsigned which)
{
    struct round *round = member->round;
    fx_future *f = round->promises[which];
    int rc = 0;
    if (roll(member, 2))
        rc = fx_future_set_running_or_notify_cancel(f);
    require(rc == 0 || rc == -ECANCELED || rc == -EALREADY);
    if (roll(member, 2))
        rc = fx_future_set_result(f, round);
    else
        rc = fx_future_set_exception(f, (int)which + 1, "stress");
    require(rc == 0 || rc == -EALREADY);
    if (rc == 0)
        atomic_fetch_add(&round->fulfilled[which], 1);
}

static void wait_for_several(struct member *member)
{
    fx_future *chosen[PROMISES];
    size_t n = 1 + roll(member, PROMISES), n_done = 0;
    fx_return_when when = (fx_return_when)roll(member, 3);
    for (size_t i = 0; i < n; i++)
        chosen[i] = member->round->promises[roll(member, PROMISES)];
    int rc = fx_wait(chosen, n, FX_USEC(roll(member, 300)), when, &n_done);
    require(rc == 0 || rc == -ETIMEDOUT);
    require(n_done <= n && (rc != 0 || n_done > 0) &&
            (rc != 0 || when != FX_ALL_COMPLETED || n_done == n));
}

static void take_some(struct member *member)
{
    fx_as_completed each;
    fx_future *f;
    int rc;
    unsigned most = roll(member, PROMISES);
    require(fx_as_completed_init(&each, member->round->promises, PROMISES,
                                 FX_USEC(roll(member, 300))) == 0);
    while (most-- > 0 && (rc = fx_as_completed_next(&each, &f, NULL)) != 0) {
        require(rc == -ETIMEDOUT || (rc == 1 && fx_future_done(f)));
        if (rc != 1)
            break;
    }
    fx_as_completed_end(&each);
}

static void act(struct member *member)
{
    struct round *round = member->round;
    unsigned which = roll(member, PROMISES);
    fx_future *f = round->promises[which], *then;
    switch (roll(member, 8)) {
    case 0:
    case 1:
        fulfil(member, which);
        break;
    case 2:
        if (fx_future_cancel(f) == 0)
            atomic_fetch_add(&round->cancelled[which], 1);
        break;
    case 3:
        require(fx_future_add_done_callback(f, count_call, round) == 0);
        atomic_fetch_add(&round->added, 1);
        break;
    case 4:
        fx_future_result_for(f, FX_USEC(roll(member, 200)), NULL);
        break;
    case 5:
        wait_for_several(member);
        break;
    case 6:
        take_some(member);
        break;
    case 7:
        then = fx_future_then(f, member->pool, count_then, round);
        require(then != NULL);
        if (roll(member, 4) == 0)
            fx_future_stop(then);
        round->then[atomic_fetch_add(&round->thens, 1)] = then;
        break;
    }
}

static void *play(void *arg)
{
    for (int i = 0; i < ACTS; i++)
        act(arg);
    return NULL;
}

static void check_promise(struct round *round, int i)
{
    fx_future *f = round->promises[i];
    int fulfilled = atomic_load(&round->fulfilled[i]);
    bool cancelled = fx_future_cancelled(f);
    fx_exc exception;
    void *value = NULL;
    require(fulfilled <= 1);
    require(cancelled ? fulfilled == 0 : atomic_load(&round->cancelled[i]) == 0);
    if (!fx_future_done(f)) /* nobody has, or somebody has only begun it */
        require(fulfilled == 0 && fx_future_set_result(f, round) == 0);
    int rc = fx_future_result_for(f, 0, &value);
    require(fx_future_exception(f, &exception) == 0);
    require(cancelled   ? rc == -ECANCELED && exception == FX_CANCELLED
            : rc == 0 ? value == round && exception == 0
                        : rc == -EREMOTEIO && exception == i + 1);
}

static void play_round(fx_executor *pool, unsigned seed)
{
    static struct round round;
    struct member members[CREW];
    fx_thread *threads[CREW];
    round = (struct round){ 0 };
    for (int i = 0; i < PROMISES; i++)
        require((round.promises[i] = fx_future_new()) != NULL);
    for (int i = 0; i < CREW; i++) {
        members[i] = (struct member){ &round, pool, seed * CREW + (unsigned)i };
        require((threads[i] = fx_thread_spawn(play, &members[i])) != NULL);
    }
    for (int i = 0; i < CREW; i++) {
        require(fx_thread_join(threads[i], NULL) == 0);
        fx_thread_unref(threads[i]);
    }
    for (int i = 0; i < PROMISES; i++)
        check_promise(&round, i);
    require(atomic_load(&round.called) == atomic_load(&round.added));
    size_t thens = (size_t)atomic_load(&round.thens), returned = 0;
    require(fx_wait(round.then, thens, FX_SEC(60), FX_ALL_COMPLETED, NULL) == 0);
    for (size_t i = 0; i < thens; i++) {
        int rc = fx_future_result(round.then[i], NULL);
        require(rc == 0 || rc == -ECANCELED);
        returned += rc == 0;
    }
    /* A stop may come between the count and the return. */
    require(returned <= (size_t)atomic_load(&round.then_ran));
    fx_future_unref_all(round.then, thens);
    fx_future_unref_all(round.promises, PROMISES);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : scaled(ROUNDS);
    unsigned seed = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
    fx_executor *pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 2 });
    require(pool != NULL);
    for (int i = 0; i < rounds; i++)
        play_round(pool, seed + (unsigned)i);
    require(fx_executor_shutdown(pool, true, false) == 0);
    fx_executor_unref(pool);
    printf("%d rounds\n", rounds);
    return EXIT_SUCCESS;
}
