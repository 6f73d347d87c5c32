/* Sleeps as entries of a binary heap, and one clock_nanosleep(2) for the earliest. */
#include <stdlib.h>

#include "bench/peers/io.h"
#include "bench/support/clock.h"

struct heap {
    int64_t *deadline;
    size_t n;
};

static void push(struct heap *heap, int64_t deadline)
{
    size_t at = heap->n++;
    for (; at > 0 && heap->deadline[(at - 1) / 2] > deadline; at = (at - 1) / 2)
        heap->deadline[at] = heap->deadline[(at - 1) / 2];
    heap->deadline[at] = deadline;
}

static void pop(struct heap *heap)
{
    int64_t last = heap->deadline[--heap->n];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < heap->n) {
        if (child + 1 < heap->n && heap->deadline[child + 1] < heap->deadline[child])
            child++;
        if (heap->deadline[child] >= last)
            break;
        heap->deadline[at] = heap->deadline[child];
        at = child;
    }
    heap->deadline[at] = last;
}

static bool sleep_all(long n, long ns, int64_t *due)
{
    struct heap heap = { .deadline = malloc((size_t)n * sizeof(int64_t)) };
    for (long i = 0; i < n; i++) {
        *due = bench_now() + ns;
        push(&heap, *due);
    }
    while (heap.n > 0) {
        int64_t now = bench_now(), first = heap.deadline[0];
        if (first > now) {
            struct timespec until = { first / 1000000000, first % 1000000000 };
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
        pop(&heap);
    }
    free(heap.deadline);
    return true;
}

const struct bench_io_peer bench_io_heap = {
    .peer = { .name = "heap", .what = "a heap of deadlines, and nothing else" },
    .sleep = sleep_all,
};
