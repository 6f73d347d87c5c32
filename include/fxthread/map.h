/* Maps: one function applied to many items by an executor.
 *
 * fx_executor_map() takes arrays; an fx_map takes its items one by one from a function, and gives
 * the results in the order of the items, with a bound on how many are in flight.
 *
 *     static int next_number(void *last, void *item) {
 *         *(int *)item = ++*(int *)last;
 *         return *(int *)item <= 1000000;
 *     }
 *
 *     static int is_prime(const void *item, size_t item_size, void *result, size_t result_size) {
 *         int n = *(const int *)item, prime = n > 1;
 *         for (int i = 2; i <= n / i; i++)
 *             prime = prime && n % i != 0;
 *         *(int *)result = prime;
 *         return 0;
 *     }
 *
 *     static int count_primes(fx_executor *pool) {
 *         int last = 0, result, count = 0;
 *         fx_map map;
 *         fx_map_attr attr = { .chunk = 1000 };
 *         fx_map_init(&map, pool, is_prime, next_number, &last, sizeof(int), sizeof(int), &attr);
 *         while (fx_map_next(&map, &result) == 1)
 *             count += result;
 *         fx_map_end(&map);
 *         return count;
 *     }
 *
 * The function is an fx_copy_target: it is called with one item, and room for one result. A
 * negative return, or an exception, is the item's failure.
 */
#ifndef FXTHREAD_MAP_H
#define FXTHREAD_MAP_H

#include <fxthread/executor.h>

FX_BEGIN_DECLS

/* How a map is done: all zero is every default. */
typedef struct fx_map_attr {
    size_t chunk;         /* items that one task takes; 0: 1 */
    size_t max_in_flight; /* tasks that are submitted and not yet collected; 0: 4 a worker, at least
                           * 16 */
    fx_nsec timeout;      /* for all of it, from the beginning; 0: none */
    fx_exc *exceptions;   /* NULL, or n codes, 0 for no failure: then every item is tried. Not of
                           * fx_map_init (-EINVAL) */
    uint64_t reserved[4]; /* 0 */
} fx_map_attr;

/* Calls fn on each of n items of item_size bytes, results[i], of result_size bytes, belonging to
 * items[i]. Returns when all is done, or when it has failed and nothing touches the arrays any
 * more: the first failure, and the timeout, cancel what has not begun and stop what runs. 0; the
 * exception's code of the failed item with the lowest index (negative: -errno, as fn returned it);
 * -ETIMEDOUT; -EINVAL: executor or fn is NULL, an array is NULL and not empty, a timeout below 0
 * that is not FX_FOREVER, or a reserved field is not 0; what a submit says (-ESHUTDOWN, -EPIPE,
 * -EAGAIN, -ENOMEM); -ECANCELED: stopped where a stop cannot be raised. Results of items that
 * failed or were not tried are not to be used. With attr->exceptions: 0, or the lowest failure's
 * code as well, and each item's in its place; after a timeout FX_CANCELLED for those not tried,
 * and FX_STOPPED for those stopped. Blocks; a stop point. */
FX_API int fx_executor_map(fx_executor *executor, fx_copy_target fn, const void *items, size_t n,
                           size_t item_size, void *results, size_t result_size,
                           const fx_map_attr *attr);

/* Fills in the next item: 1; 0: there are no more; negative: the map fails with that. Called in
 * whoever calls fx_map_init or fx_map_next. */
typedef int (*fx_map_source)(void *src, void *item);

/* A map under way: a struct that the caller places, and that one thread or task uses. */
typedef struct fx_map {
    void *state;
    uint64_t reserved[3];
} fx_map;

/* Begins a map of the items that source(src, item) yields. Nothing is submitted before the first
 * fx_map_next(). 0; -EINVAL: an argument but src and attr is NULL, or attr is not valid; -ENOMEM.
 * The executor's handle is kept. Whatever it returns, fx_map_end() may follow. Does not block. */
FX_API int fx_map_init(fx_map *map, fx_executor *executor, fx_copy_target fn, fx_map_source source,
                       void *src, size_t item_size, size_t result_size, const fx_map_attr *attr);

/* Stores the next item's result, in the order of the items. 1; 0: there are no more; the item's
 * failure: what fn returned, or as fx_future_result tells an exception that is not negative
 * (-EREMOTEIO, -ECANCELED, ...); what the source returned; -ETIMEDOUT; what a submit says; -EINVAL:
 * NULL, or ended; -ECANCELED: stopped where a stop cannot be raised. After a failure the map is
 * over: the rest is cancelled, and the same is returned again. Blocks; a stop point. */
FX_API int fx_map_next(fx_map *map, void *result);

/* Cancels what has not begun, stops what runs, and frees the map. To be called always, in a
 * `finally` block where a stop may come; twice is fine. Waits until nothing of the map runs any
 * more, and is no stop point. */
FX_API void fx_map_end(fx_map *map);

FX_END_DECLS

#endif
