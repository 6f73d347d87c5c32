/* fx_map: items from a function, results in the order of the items.
 *
 * The chunks in flight stand in a ring, the earliest first; a chunk is filled from the source, in
 * the caller, when there is room in the ring. One that the executor has no room for is kept for
 * the next time. */
#include <errno.h>
#include <string.h>

#include "executor/chunk.h"
#include "libc/alloc.h"
#include "stop/caught.h"
#include "stop/raise.h"
#include "stop/stop.h"
#include "stop/walk.h"

struct lazy_map {
    struct fxi_chunk_plan plan;
    fx_map_source source;
    void *src;
    size_t chunk;
    fx_deadline deadline;
    bool source_is_over;
    int source_rc;           /* why, once all before it is told: 0, or what the map fails with */
    bool is_over;
    int end_rc;              /* what is returned from then on */
    struct fxi_task *kept;   /* filled, and not submitted; NULL: none */
    size_t told;             /* items of the earliest chunk whose results were taken */
    size_t earliest, in_flight, room;
    struct fxi_task *ring[];
};

static struct fxi_task *earliest(struct lazy_map *map)
{
    return map->ring[map->earliest];
}

static void forget_earliest(struct lazy_map *map)
{
    fxi_chunk_release(earliest(map));
    map->earliest = (map->earliest + 1) % map->room;
    map->in_flight--;
    map->told = 0;
}

/* The rest is not wanted. Nothing is waited for yet: whoever has had a failure may have to go. */
static int fail(struct lazy_map *map, int rc)
{
    map->is_over = true;
    map->end_rc = rc;
    for (size_t i = 0; i < map->in_flight; i++)
        fxi_chunk_stop(map->ring[(map->earliest + i) % map->room]);
    return rc;
}

/* --- the source ------------------------------------------------------------------------------- */

struct filling {
    struct lazy_map *map;
    struct fxi_task *task;
    size_t count;
};

static FXI_PASSES_ON void call_source(void *arg)
{
    struct filling *filling = arg;
    struct lazy_map *map = filling->map;
    int rc = 1;
    while (filling->count < map->chunk) {
        rc = map->source(map->src, fxi_chunk_item(filling->task, filling->count));
        if (rc <= 0)
            break;
        filling->count++;
    }
    if (rc <= 0) {
        map->source_is_over = true;
        map->source_rc = rc;
    }
}

/* What the source raises is its caller's, and ends the map. */
static int fill(struct lazy_map *map)
{
    struct filling filling = { .map = map };
    struct fxi_context *self = fxi_self();
    if (!self)
        return -ENOMEM;
    filling.task = fxi_chunk_new(&map->plan, map->chunk, NULL, NULL);
    if (!filling.task)
        return -ENOMEM;
    if (fxi_call_caught(self, call_source, &filling)) {
        fxi_task_discard(filling.task);
        fail(map, fxi_future_outcome_of(self->raised.code));
        fxi_raise_stored(self);
    }
    if (filling.count == 0) {
        fxi_task_discard(filling.task);
        return 0;
    }
    fxi_chunk_shorten(filling.task, filling.count);
    map->kept = filling.task;
    return 0;
}

/* --- the executor ----------------------------------------------------------------------------- */

static int submit_kept(struct lazy_map *map)
{
    struct fxi_task *task = map->kept;
    int rc = fxi_task_try_submit(task);
    if (rc < 0)
        return rc;
    map->kept = NULL;
    map->ring[(map->earliest + map->in_flight) % map->room] = task;
    map->in_flight++;
    if (rc == FXI_SUBMIT_STOPPED)
        fxi_submit_raise_stop();
    return 0;
}

/* An executor that is full has room again when a chunk of this map is done. */
static int submit_some(struct lazy_map *map)
{
    while (map->in_flight < map->room) {
        int rc = map->kept || map->source_is_over ? 0 : fill(map);
        if (rc == 0 && !map->kept)
            return 0;
        if (rc == 0)
            rc = submit_kept(map);
        if (rc != 0)
            return rc == -EAGAIN && map->in_flight > 0 ? 0 : rc;
    }
    return 0;
}

/* The next result, from the earliest chunk, which is done. */
static int tell_next(struct lazy_map *map, void *result)
{
    struct fxi_task *task = earliest(map);
    size_t i = map->told++;
    fx_exc failure = fxi_chunk_failure(task, i);
    if (failure != 0)
        return fail(map, failure < 0 ? failure : fxi_future_outcome_of(failure));
    if (result && map->plan.result_size > 0)
        memcpy(result, fxi_chunk_result(task, i), map->plan.result_size);
    if (map->told == fxi_chunk_count(task))
        forget_earliest(map);
    return 1;
}

/* --- what the program calls ------------------------------------------------------------------- */

int fx_map_init(fx_map *map, fx_executor *executor, fx_copy_target fn, fx_map_source source,
                void *src, size_t item_size, size_t result_size, const fx_map_attr *attr)
{
    struct fxi_map_limits limits;
    if (!map)
        return -EINVAL;
    *map = (fx_map){ 0 };
    if (!executor || !fn || !source || (attr && attr->exceptions) ||
        fxi_map_limits(executor, attr, &limits) != 0)
        return -EINVAL;
    int rc = fxi_executor_accepts(executor, fn);
    if (rc == -ENOTSUP)
        return rc;
    if (limits.in_flight > SIZE_MAX / 4 / sizeof(struct fxi_task *))
        return -ENOMEM;
    struct lazy_map *lazy =
        fxi_alloc(sizeof *lazy + limits.in_flight * sizeof(struct fxi_task *));
    if (!lazy)
        return -ENOMEM;
    lazy->plan = (struct fxi_chunk_plan){ .executor = fx_executor_ref(executor),
                                          .fn = fn,
                                          .item_size = item_size,
                                          .result_size = result_size };
    lazy->source = source;
    lazy->src = src;
    lazy->chunk = limits.chunk;
    lazy->room = limits.in_flight;
    lazy->deadline = limits.deadline;
    map->state = lazy;
    return 0;
}

int fx_map_next(fx_map *map, void *result)
{
    struct lazy_map *lazy = map ? map->state : NULL;
    if (!lazy)
        return -EINVAL;
    if (lazy->is_over)
        return lazy->end_rc;
    if (lazy->told > 0) /* of a chunk that is done */
        return tell_next(lazy, result);
    int rc = submit_some(lazy);
    if (rc == 0 && lazy->in_flight > 0)
        rc = fxi_future_wait(&earliest(lazy)->future, lazy->deadline);
    else if (rc == 0)
        return fail(lazy, lazy->source_rc);
    if (rc == -ECANCELED) /* the map is as it was, where the stop cannot be raised */
        return fxi_stop_point(rc);
    return rc == 0 ? tell_next(lazy, result) : fail(lazy, rc);
}

void fx_map_end(fx_map *map)
{
    struct lazy_map *lazy = map ? map->state : NULL;
    if (!lazy)
        return;
    map->state = NULL;
    fail(lazy, 0);
    while (lazy->in_flight > 0) {
        fxi_chunk_await_end(earliest(lazy));
        forget_earliest(lazy);
    }
    if (lazy->kept)
        fxi_task_discard(lazy->kept);
    fx_executor_unref(lazy->plan.executor);
    fxi_free(lazy);
}
