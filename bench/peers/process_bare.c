/* No pool: one other process, two words of shared memory, and the kernel's futex. What a round
 * trip, and a large argument, cost at least. */
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/peers/process.h"
#include "bench/support/clock.h"

static struct {
    _Atomic uint32_t asked, answered;
    unsigned char argument[BENCH_PROCESS_BYTES], result[BENCH_PROCESS_BYTES];
} *shared;

static bool is_there(void)
{
    return true;
}

static void give(_Atomic uint32_t *word)
{
    atomic_store_explicit(word, 1, memory_order_release);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void take(_Atomic uint32_t *word)
{
    while (atomic_exchange_explicit(word, 0, memory_order_acquire) == 0)
        syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static int64_t round_trips(long n)
{
    unsigned char bytes[BENCH_PROCESS_BYTES] = { 0 };
    int64_t begin = bench_now();
    for (long i = 0; i < n; i++) {
        memcpy(shared->argument, bytes, sizeof bytes);
        give(&shared->asked);
        take(&shared->answered);
        memcpy(bytes, shared->result, sizeof bytes);
    }
    return bench_now() - begin;
}

static bool start(int workers)
{
    (void)workers;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return false;
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            take(&shared->asked);
            memcpy(shared->result, shared->argument, sizeof shared->result);
            give(&shared->answered);
        }
    }
    return round_trips(10) >= 0;
}

/* One write to shared memory that is not there before, and all that makes and ends it. */
static int64_t large(size_t bytes)
{
    static char *argument;
    static size_t filled;
    if (filled < bytes) {
        argument = realloc(argument, bytes);
        if (!argument)
            return -1;
        memset(argument, 1, bytes);
        filled = bytes;
    }
    int64_t begin = bench_now();
    int fd = memfd_create("argument", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
        return -1;
    char *there = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (there == MAP_FAILED)
        return -1;
    memcpy(there, argument, bytes);
    munmap(there, bytes);
    close(fd);
    return bench_now() - begin;
}

const struct bench_process_peer bench_process_bare = {
    .peer = { .name = "bare", .what = "a process-shared futex; a memfd that is written to" },
    .is_there = is_there,
    .start = start,
    .round_trips = round_trips,
    .large = large,
};
