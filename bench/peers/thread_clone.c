/* The limit: clone(2) on a stack that was used before, and nothing else. Its threads share the
 * thread-local storage of whoever started them, have no guard below their stack, and are unknown to
 * libc, so no program could do anything useful with them.
 *
 * One thread starts and joins; the list of free stacks is therefore not protected. */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/peers/thread.h"

enum { STACK_SIZE = 65536, CHUNK_STACKS = 1024 };

/* At the upper end of each stack: what the thread runs, and the word that the kernel sets to its
 * number at its start and clears, with a wake, when the stack is no longer in use. */
struct bare_thread {
    bench_body body;
    void *arg;
    _Atomic(pid_t) alive;
    struct bare_thread *next_free;
} __attribute__((aligned(64)));

static struct bare_thread *free_stacks;
static char *unused, *unused_end; /* stacks of the newest chunk that no thread has had yet */

/* Maps a chunk of stacks. None of it is touched here, so that a stack's first use, as that of any
 * peer's, pays for its pages. */
static int add_stacks(void)
{
    size_t size = (size_t)STACK_SIZE * CHUNK_STACKS;
    char *chunk = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (chunk == MAP_FAILED)
        return -errno;
    /* A huge page would lend its 2 MiB to 32 threads at once, whether they touch them or not. */
    madvise(chunk, size, MADV_NOHUGEPAGE);
    unused = chunk;
    unused_end = chunk + size;
    return 0;
}

/* NULL with errno where memory is out. */
static struct bare_thread *take_stack(void)
{
    struct bare_thread *bare = free_stacks;
    if (bare) {
        free_stacks = bare->next_free;
        return bare;
    }
    if (unused == unused_end && add_stacks() != 0)
        return NULL;
    unused += STACK_SIZE;
    return (struct bare_thread *)unused - 1;
}

static void give_stack(struct bare_thread *bare)
{
    bare->next_free = free_stacks;
    free_stacks = bare;
}

static int run(void *bare)
{
    struct bare_thread *self = bare;
    self->body(self->arg);
    return 0;
}

static int start(struct bench_thread *thread, bench_body body, void *arg)
{
    struct bare_thread *bare = take_stack();
    if (!bare)
        return -errno;
    bare->body = body;
    bare->arg = arg;
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    if (clone(run, bare, flags, bare, &bare->alive, NULL, &bare->alive) < 0) {
        int error = errno;
        give_stack(bare);
        return -error;
    }
    thread->word[0] = (uintptr_t)bare;
    return 0;
}

static void join(struct bench_thread *thread)
{
    struct bare_thread *bare = (struct bare_thread *)thread->word[0];
    pid_t alive;
    /* acquire: pairs with the kernel's store of 0. Its wake is not a private one. */
    while ((alive = atomic_load_explicit(&bare->alive, memory_order_acquire)) != 0)
        syscall(SYS_futex, &bare->alive, FUTEX_WAIT, alive, NULL, NULL, 0);
    give_stack(bare);
}

const struct bench_thread_peer bench_thread_clone = {
    .peer = { "bare-clone",
              "clone(2) on a reused stack, with no thread-local storage, no guard page and no "
              "libc: the limit" },
    .start = start,
    .join = join,
};
