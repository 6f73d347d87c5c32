#include "kernel/uring.h"

#include <errno.h>

#include "base/annotate.h"
#include "base/compiler.h"
#include "kernel/inject.h"

#define NEEDED (IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_RSRC_TAGS)

/* What kernels know, the newest first: one does not know of those before its own. */
static const unsigned kinds[] = {
    /* 6.1: completions do not interrupt their owner, which takes them when it looks */
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
    /* 5.19: they do so only on its way out of a system call */
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0
};

static int open_any(struct io_uring *ring, unsigned entries, unsigned completions)
{
    int rc = -EINVAL;
    for (size_t i = 0; rc == -EINVAL && i < sizeof kinds / sizeof kinds[0]; i++) {
        struct io_uring_params params = { .flags = kinds[i] | IORING_SETUP_CQSIZE,
                                          .cq_entries = completions };
        rc = fxi_inject(FXI_INJECT_URING_OPEN);
        if (rc == 0)
            rc = io_uring_queue_init_params(entries, ring, &params);
    }
    return rc;
}

int fxi_uring_open(struct io_uring *ring, unsigned entries, unsigned completions)
{
    int rc = open_any(ring, entries, completions);
    if (rc != 0)
        return rc;
    if (io_uring_ring_dontfork(ring) == 0 && (ring->features & NEEDED) == NEEDED)
        return 0;
    io_uring_queue_exit(ring);
    return -ENOSYS;
}

bool fxi_uring_works(void)
{
    static int known; /* 0: not yet; every writer writes the same */
    int works = fxi_load_relaxed(&known);
    /* Valgrind does not know that a thread may sleep there, and runs no other meanwhile. */
    if (fxi_runs_on_valgrind())
        return false;
    if (works == 0) {
        struct io_uring ring;
        int rc = fxi_uring_open(&ring, 1, 2);
        if (rc == 0)
            fxi_uring_close(&ring);
        works = rc == 0 || rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE ? 1 : -1;
        if (rc == 0 || works < 0)
            fxi_store_relaxed(&known, works);
    }
    return works > 0;
}

void fxi_uring_close(struct io_uring *ring)
{
    io_uring_queue_exit(ring);
}

void fxi_uring_forget(struct io_uring *ring)
{
    close(ring->ring_fd);
}

/* What a call of liburing's came to, which has made the system call as often as it could. */
static int outcome(int rc)
{
    switch (rc) {
    case -EAGAIN:
    case -EBUSY:
        return rc;
    default: /* entries handed over; or -EINTR, -ETIME: it is for the caller to look */
        return 0;
    }
}

int fxi_uring_submit(struct io_uring *ring)
{
    int rc = fxi_inject(FXI_INJECT_URING);
    return outcome(rc != 0 ? rc : io_uring_submit(ring));
}

int fxi_uring_enter(struct io_uring *ring)
{
    int rc = fxi_inject(FXI_INJECT_URING);
    return outcome(rc != 0 ? rc : io_uring_submit_and_get_events(ring));
}

int fxi_uring_wait(struct io_uring *ring, fx_deadline deadline)
{
    struct io_uring_cqe *first;
    struct __kernel_timespec time, *limit = NULL;
    int rc = fxi_inject(FXI_INJECT_URING);
    if (rc != 0)
        return outcome(rc);
    if (deadline != FX_FOREVER) {
        fx_nsec left = deadline - fx_now();
        if (left <= 0)
            return fxi_uring_enter(ring);
        time.tv_sec = left / 1000000000;
        time.tv_nsec = left % 1000000000;
        limit = &time;
    }
    return outcome(io_uring_submit_and_wait_timeout(ring, &first, 1, limit, NULL));
}
