/* Threads in quantity: stress_threads [threads [actions [seed]]].
 *
 * First `threads` threads run one after the other, joined or given up, and memory and mappings must
 * stay where they were after the first thousand. Then several threads act at random on a set of
 * shared handles: start, join with and without a timeout, rename, enumerate, give up. By hand:
 *
 *     stress_threads 1000000 1000000 7
 */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/await.h"
#include "../support/scale.h"
#include "../thread/proc.h"

#define require(condition)                                                                  \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                        \
        }                                                                                   \
    } while (0)

/* --- one after the other ---------------------------------------------------------------------- */

struct use {
    size_t bytes, mappings, resident;
};

static struct use use_now(void)
{
    return (struct use){mallinfo2().uordblks, mapping_count(), status_kib("VmRSS")};
}

static _Thread_local char own[64];

static void *work_a_little(void *arg)
{
    char *text = malloc(100 + (uintptr_t)arg % 400);
    require(text);
    require(own[0] == '\0'); /* as new, though its memory is another's */
    snprintf(own, sizeof own, "%p", arg);
    strcpy(text, own);
    free(text);
    return arg;
}

static void one_after_the_other(size_t threads)
{
    enum { WARM_UP = 1000 };
    struct use at_first = {0};
    for (size_t i = 0; i < threads; i++) {
        void *arg = (void *)(i + 1), *result = NULL;
        fx_thread *t = fx_thread_spawn(work_a_little, arg);
        require(t);
        if (i % 2) {
            require(fx_thread_join(t, &result) == 0);
            require(result == arg);
        }
        fx_thread_unref(t);
        if (i % 2 == 0)
            await(fx_active_count() <= 8);
        if (i == WARM_UP)
            at_first = use_now();
    }
    await(fx_active_count() == 1);
    if (threads <= WARM_UP)
        return;
    struct use at_last = use_now();
    printf("%zu threads: %zu bytes, %zu mappings, %zu KiB resident after the first %d; "
           "%zu, %zu, %zu at last\n",
           threads, at_first.bytes, at_first.mappings, at_first.resident, WARM_UP, at_last.bytes,
           at_last.mappings, at_last.resident);
#if !defined FXI_ASAN && !defined FXI_TSAN /* whose own bookkeeping is counted with it */
    /* Room for some threads more alive at once later than at first, and less than the smallest leak
     * of each of the usual number of threads would come to. */
    require(at_last.bytes <= at_first.bytes + 256 * 1024);
    require(at_last.mappings <= at_first.mappings + 40);
    require(at_last.resident <= at_first.resident + 4096);
#endif
}

/* --- many at random --------------------------------------------------------------------------- */

enum { SLOTS = 24, ACTORS = 4 };

/* The shared handles. Under the mutex a handle is taken with a reference, so it stays valid. */
static struct {
    pthread_mutex_t mutex;
    fx_thread *slots[SLOTS];
} shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static atomic_uint_fast64_t made, began, freed_args, payloads_made, payloads_freed;

static fx_thread *borrow(unsigned slot)
{
    pthread_mutex_lock(&shared.mutex);
    fx_thread *t = shared.slots[slot] ? fx_thread_ref(shared.slots[slot]) : NULL;
    pthread_mutex_unlock(&shared.mutex);
    return t;
}

static void put(unsigned slot, fx_thread *t)
{
    pthread_mutex_lock(&shared.mutex);
    fx_thread *old = shared.slots[slot];
    shared.slots[slot] = t;
    pthread_mutex_unlock(&shared.mutex);
    fx_thread_unref(old);
}

static void free_payload(void *payload)
{
    atomic_fetch_add(&payloads_freed, 1);
    free(payload);
}

static void count_freed_arg(void *arg)
{
    (void)arg;
    atomic_fetch_add(&freed_args, 1);
}

/* Ends in one of the ways that there are, by its argument. */
static void *live_briefly(void *arg)
{
    uintptr_t way = (uintptr_t)arg;
    atomic_fetch_add(&began, 1);
    switch (way % 8) {
    case 0:
        fx_raise((fx_exc)(1 + way % 1000));
    case 1:
        atomic_fetch_add(&payloads_made, 1);
        fx_raise_with(-EIO, malloc(32), free_payload);
    case 2:
        fx_raise_msg(-ENOENT, "number %zu", (size_t)way);
    case 3:
        fx_thread_exit(arg);
    case 4:
        fx_sleep(FX_USEC(way % 300));
        break;
    case 5:
        fx_thread_unref(fx_thread_spawn(work_a_little, arg));
        break;
    default:
        break;
    }
    return arg;
}

static void check_end(fx_thread *t, void *result)
{
    fx_exc_info info;
    require(!fx_thread_is_alive(t));
    require(fx_thread_exception_info(t, &info) == 0);
    require(info.code == fx_thread_exception(t));
    if (info.code != 0 && info.code != FX_EXITED)
        require(result == NULL);
    if (info.code == -ENOENT)
        require(strncmp(info.message, "number ", 7) == 0);
}

static void act(unsigned *seed, size_t turn)
{
    unsigned slot = (unsigned)rand_r(seed) % SLOTS, choice = (unsigned)rand_r(seed) % 12;
    void *result = NULL;
    fx_thread *t = borrow(slot), *seen[16];
    int rc = 0;
    switch (t ? choice : 0) {
    case 0:
    case 1: /* another one in its place */
        fx_thread_unref(t);
        t = fx_thread_new(live_briefly, (void *)(turn * 16 + (unsigned)rand_r(seed) % 8 + 8),
                          &(fx_thread_attr){.free_arg = count_freed_arg,
                                            .name = turn % 3 ? NULL : "one of many"});
        require(t);
        atomic_fetch_add(&made, 1);
        put(slot, fx_thread_ref(t));
        if (choice)
            break;
        /* fall through */
    case 2:
    case 3:
    case 4:
        rc = fx_thread_start(t);
        require(rc == 0 || rc == -EALREADY || rc == -EAGAIN);
        break;
    case 5:
        rc = fx_thread_join_for(t, 0, &result);
        break;
    case 6:
        rc = fx_thread_join_for(t, FX_USEC(rand_r(seed) % 200), &result);
        break;
    case 7:
        rc = fx_thread_join(t, &result);
        require(rc != -ETIMEDOUT);
        break;
    case 8:
        require(fx_thread_set_name(t, turn % 2 ? "renamed" : "renamed to something longer") == 0);
        break;
    case 9:
        require(fx_thread_name(t)[0] != '\0');
        require(!fx_thread_is_alive(t) || fx_thread_ident(t) != 0);
        break;
    case 10: {
        size_t alive = fx_enumerate(seen, 16);
        require(alive >= 2); /* main and this one */
        for (size_t i = 0; i < alive && i < 16; i++)
            fx_thread_unref(seen[i]);
        break;
    }
    case 11:
        put(slot, NULL);
        break;
    }
    if (choice >= 5 && choice <= 7 && rc == 0 && fx_thread_ident(t) != 0 && !fx_thread_is_alive(t))
        check_end(t, result);
    require(rc == 0 || rc == -EALREADY || rc == -EAGAIN || rc == -ETIMEDOUT || rc == -EINVAL);
    fx_thread_unref(t);
}

struct actor {
    unsigned seed;
    size_t turns;
};

static void *act_at_random(void *arg)
{
    struct actor *actor = arg;
    for (size_t turn = 0; turn < actor->turns; turn++)
        act(&actor->seed, turn);
    return NULL;
}

static void ignore_exception(fx_thread *t, const fx_exc_info *info)
{
    require(t == fx_current_thread());
    require(info->code != 0);
}

static void many_at_random(size_t actions, unsigned seed)
{
    fx_thread *actors[ACTORS];
    struct actor state[ACTORS];
    fx_set_excepthook(ignore_exception);
    for (unsigned i = 0; i < ACTORS; i++) {
        state[i] = (struct actor){seed * ACTORS + i + 1, actions / ACTORS};
        require(actors[i] = fx_thread_spawn(act_at_random, &state[i]));
    }
    for (int i = 0; i < ACTORS; i++) {
        require(fx_thread_join(actors[i], NULL) == 0);
        fx_thread_unref(actors[i]);
    }
    for (unsigned slot = 0; slot < SLOTS; slot++)
        put(slot, NULL);
    await(fx_active_count() == 1);
    await(atomic_load(&payloads_freed) == atomic_load(&payloads_made));
    /* Each that was made has begun or has had its argument freed, and none both. */
    await(atomic_load(&began) + atomic_load(&freed_args) == atomic_load(&made));
    printf("%zu actions with seed %u: %zu threads made, %zu begun\n", actions, seed,
           (size_t)made, (size_t)began);
}

int main(int argc, char **argv)
{
    size_t threads = argc > 1 ? strtoul(argv[1], NULL, 10) : (size_t)scaled(20000);
    size_t actions = argc > 2 ? strtoul(argv[2], NULL, 10) : (size_t)scaled(40000);
    const char *text = argc > 3 ? argv[3] : getenv("FX_TEST_SEED");
    unsigned seed = text ? (unsigned)strtoul(text, NULL, 10) : 1;
    one_after_the_other(threads);
    printf("seed %u\n", seed);
    fflush(stdout);
    many_at_random(actions, seed);
    return EXIT_SUCCESS;
}
