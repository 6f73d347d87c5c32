/* A gate that threads of a test wait at until the test opens it. It asks the kernel itself, so it
 * works in every kind of thread and depends on nothing that is under test.
 *
 *     struct gate gate = {0};
 *     fx_thread *t = fx_thread_spawn(gate_target, &gate);    // runs until the gate opens
 *     gate_open(&gate);
 */
#ifndef TESTS_THREAD_GATE_H
#define TESTS_THREAD_GATE_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct gate {
    _Atomic uint32_t opened;
    _Atomic uint32_t waiters; /* how many have come to the gate so far */
};

static inline void gate_wait(struct gate *gate)
{
    atomic_fetch_add(&gate->waiters, 1);
    while (!atomic_load(&gate->opened))
        syscall(SYS_futex, &gate->opened, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static inline void gate_open(struct gate *gate)
{
    atomic_store(&gate->opened, 1);
    syscall(SYS_futex, &gate->opened, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* A thread's function: waits at its argument, a gate, and returns it. */
static inline void *gate_target(void *gate)
{
    gate_wait(gate);
    return gate;
}

#endif
