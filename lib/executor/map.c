/* fx_executor_map: the items of an array, in chunks, a bounded number of them in flight.
 *
 * Each chunk in flight has a slot with a watch on its future; chunks are collected as they become
 * done, in any order, so that a slow one holds nobody up and the first failure is seen at once.
 * The map returns when no chunk is left, for they work in the map's arrays. */
#include <errno.h>
#include <string.h>

#include "executor/chunk.h"
#include "future/follow.h"
#include "libc/alloc.h"
#include "stop/stop.h"

struct slot {
    struct fxi_watch watch;
    struct fxi_task *task;  /* NULL: free */
    size_t first;           /* the index of its first item */
    struct slot *next_free;
};

struct map {
    struct fxi_chunk_plan plan;
    const char *items;
    char *results;
    fx_exc *exceptions;     /* NULL: the first failure ends the map */
    size_t n, next;         /* the first item not submitted */
    size_t chunk, in_flight;
    fx_deadline deadline;
    bool ends;              /* what is in flight was told to stop */
    fx_exc failure;         /* of the lowest item that failed */
    size_t failed;          /* which that is */
    struct fxi_watch_set set;
    struct slot *free, *slots;
    size_t slot_count;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* --- collecting ------------------------------------------------------------------------------- */

/* Those whom the map itself has ended did not fail. */
static bool is_failure(const struct map *map, fx_exc outcome)
{
    return outcome != 0 && !(map->ends && (outcome == FX_CANCELLED || outcome == FX_STOPPED));
}

static void note(struct map *map, size_t index, fx_exc outcome)
{
    if (map->exceptions)
        map->exceptions[index] = outcome;
    if (is_failure(map, outcome) && (map->failure == 0 || index < map->failed)) {
        map->failure = outcome;
        map->failed = index;
    }
}

/* Of a chunk that is done. */
static void collect(struct map *map, struct slot *slot)
{
    size_t count = fxi_chunk_count(slot->task), size = map->plan.result_size;
    for (size_t i = 0; i < count; i++) {
        fx_exc outcome = fxi_chunk_failure(slot->task, i);
        const void *result = fxi_chunk_result(slot->task, i);
        note(map, slot->first + i, outcome);
        if (outcome == 0 && result && size > 0)
            memcpy(map->results + (slot->first + i) * size, result, size);
    }
    fxi_watch_remove(&slot->watch);
    fxi_chunk_release(slot->task);
    slot->task = NULL;
    slot->next_free = map->free;
    map->free = slot;
    map->in_flight--;
}

static int collect_some(struct map *map)
{
    int rc = fxi_watch_wait(&map->set, map->deadline);
    struct fxi_watch *watch = fxi_watch_take(&map->set);
    while (watch) {
        struct fxi_watch *next = watch->next_fired;
        collect(map, fxi_container_of(watch, struct slot, watch));
        watch = next;
    }
    return rc;
}

/* --- submitting ------------------------------------------------------------------------------- */

static int submit_chunk(struct map *map)
{
    struct slot *slot = map->free;
    size_t count = smaller(map->chunk, map->n - map->next);
    const char *items = map->plan.item_size ? map->items + map->next * map->plan.item_size : NULL;
    char *results = map->plan.result_size ? map->results + map->next * map->plan.result_size : NULL;
    struct fxi_task *task = fxi_chunk_new(&map->plan, count, items, results);
    if (!task)
        return -ENOMEM;
    int rc = fxi_task_submit(task);
    if (rc < 0)
        return rc;
    map->free = slot->next_free;
    slot->task = task;
    slot->first = map->next;
    map->next += count;
    map->in_flight++;
    fxi_watch_add(&slot->watch, &map->set, &task->future);
    return rc;
}

static bool ended_by_failure(const struct map *map)
{
    return map->failure != 0 && !map->exceptions;
}

/* An executor that is full has room again when a chunk of this map is done. */
static int submit_some(struct map *map)
{
    int rc = 0;
    while (rc == 0 && map->next < map->n && map->free)
        rc = submit_chunk(map);
    return rc == -EAGAIN && map->in_flight > 0 ? 0 : rc;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void end_the_rest(struct map *map)
{
    map->ends = true;
    for (size_t i = 0; i < map->slot_count; i++)
        if (map->slots[i].task)
            fxi_chunk_stop(map->slots[i].task);
    for (size_t i = 0; i < map->slot_count; i++) {
        if (!map->slots[i].task)
            continue;
        fxi_chunk_await_end(map->slots[i].task);
        collect(map, &map->slots[i]);
    }
    for (size_t i = map->next; i < map->n; i++)
        note(map, i, FX_CANCELLED);
}

static int run(struct map *map)
{
    int rc = 0;
    while (rc == 0 && !ended_by_failure(map) && (map->next < map->n || map->in_flight > 0)) {
        rc = submit_some(map);
        if (rc == 0)
            rc = collect_some(map);
    }
    end_the_rest(map);
    return rc;
}

static int make_slots(struct map *map, size_t most)
{
    size_t chunks = map->n / map->chunk + (map->n % map->chunk != 0);
    map->slot_count = smaller(most, chunks);
    if (map->slot_count > SIZE_MAX / sizeof *map->slots)
        return -ENOMEM;
    map->slots = fxi_alloc(map->slot_count * sizeof *map->slots);
    if (!map->slots)
        return -ENOMEM;
    for (size_t i = map->slot_count; i-- > 0;) {
        map->slots[i].next_free = map->free;
        map->free = &map->slots[i];
    }
    return 0;
}

static bool array_is_there(const void *array, size_t n, size_t size)
{
    return array || n == 0 || size == 0;
}

int fx_executor_map(fx_executor *executor, fx_copy_target fn, const void *items, size_t n,
                    size_t item_size, void *results, size_t result_size, const fx_map_attr *attr)
{
    struct fxi_map_limits limits;
    if (!executor || !fn || !array_is_there(items, n, item_size) ||
        !array_is_there(results, n, result_size) || fxi_map_limits(executor, attr, &limits) != 0)
        return -EINVAL;
    if (n == 0)
        return 0;
    int rc = fxi_executor_accepts(executor, fn);
    if (rc != 0)
        return rc;
    struct map map = { .plan = { .executor = executor,
                                 .fn = fn,
                                 .item_size = item_size,
                                 .result_size = result_size,
                                 .goes_on = attr && attr->exceptions },
                       .items = items,
                       .results = results,
                       .exceptions = attr ? attr->exceptions : NULL,
                       .n = n,
                       .chunk = limits.chunk,
                       .deadline = limits.deadline };
    rc = fxi_self() ? make_slots(&map, limits.in_flight) : -ENOMEM;
    if (rc != 0)
        return rc;
    rc = run(&map);
    fxi_free(map.slots);
    if (rc == FXI_SUBMIT_STOPPED)
        fxi_submit_raise_stop();
    return rc != 0 ? fxi_stop_point(rc) : map.failure;
}
