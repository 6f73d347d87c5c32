/* Thousands of threads alive at once: stress_alive [threads], 10000 if not said otherwise.
 *
 * Where the machine allows fewer (RLIMIT_NPROC, the pids cgroup, kernel.threads-max, the number of
 * mappings), a start says -EAGAIN or -ENOMEM; then as many as there are must work. */
#define _GNU_SOURCE
#include <fxthread.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../support/await.h"
#include "../support/scale.h"
#include "../thread/gate.h"
#include "../thread/proc.h"

enum { SKIPPED = 77, TOO_FEW = 100 };

static struct gate gate;
static atomic_uint_fast64_t sum_of_indices;

static void *live(void *index)
{
    atomic_fetch_add(&sum_of_indices, (uintptr_t)index);
    gate_wait(&gate);
    return index;
}

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "stress_alive: not so: %s\n", what);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    size_t wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : (size_t)scaled(10000), n = 0;
    fx_thread **threads = calloc(wanted, sizeof *threads), **seen = calloc(wanted, sizeof *seen);
    require(threads && seen, "memory for the handles");
    size_t resident = status_kib("VmRSS"), mappings = mapping_count();
    int rc = 0;

    fx_deadline begin = fx_now();
    for (; n < wanted; n++) {
        threads[n] = fx_thread_new(live, (void *)n, &(fx_thread_attr){.daemon = true});
        require(threads[n], "a new handle");
        rc = fx_thread_start(threads[n]);
        if (rc != 0)
            break;
    }
    if (rc != 0) {
        fprintf(stderr, "stress_alive: this machine allows %zu threads: %s\n", n, fx_exc_name(rc));
        require(rc == -EAGAIN || rc == -ENOMEM, "the error of a start is EAGAIN or ENOMEM");
        fx_thread_unref(threads[n]);
        if (n < TOO_FEW)
            exit(SKIPPED);
    }
    fx_nsec took = fx_now() - begin;
    await(atomic_load(&gate.waiters) == n);
    double each = ((double)status_kib("VmRSS") - (double)resident) / (double)n;
    printf("%zu threads alive: %.1f us to start each, %.1f KiB resident each, %zu mappings more\n",
           n, (double)took / 1e3 / (double)n, each, mapping_count() - mappings);

    require(atomic_load(&sum_of_indices) == (uint_fast64_t)n * (n - 1) / 2, "each runs, once");
    require(fx_active_count() == n + 1, "all are counted");
    require(fx_enumerate(seen, n) == n + 1, "all are listed");
    require(seen[0] == fx_main_thread(), "main is the oldest");
    for (size_t i = 0; i < n; i++) {
        require(fx_thread_is_alive(threads[i]), "each is alive");
        require(i == 0 || seen[i] == threads[i - 1], "the list is in the order of the starts");
        fx_thread_unref(seen[i]);
    }
    gate_open(&gate);
    for (size_t i = 0; i < n; i++) {
        void *result = NULL;
        require(fx_thread_join(threads[i], &result) == 0, "each can be joined");
        require((size_t)result == i, "each has its own result");
        fx_thread_unref(threads[i]);
    }
    require(fx_active_count() == 1, "none is left");
    await(task_count() <= 2); /* a sanitizer may have one of its own */
    free(threads);
    free(seen);
    return EXIT_SUCCESS;
}
