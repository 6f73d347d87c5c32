/* Requests of tests: begun on the calling task's worker, and waited for. */
#ifndef TESTS_EXECUTOR_OPERATION_H
#define TESTS_EXECUTOR_OPERATION_H

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "executor/pool.h"
#include "executor/request.h"
#include "park/park.h"
#include "../executor/pool.h"

/* Tests are run with both backends: their loop variable. */
enum { ON_URING, ON_EPOLL, BACKENDS };

#define BACKEND_OF(backend) ((backend) == ON_URING ? FX_BACKEND_URING : FX_BACKEND_EPOLL)

/* Of workers that end after so long without a task; 0: the usual time. */
static inline fx_executor *impatient_pool_on(int backend, size_t workers, fx_nsec idle_timeout)
{
    fx_thread_pool_attr attr = { .max_workers = workers,
                                 .idle_timeout = idle_timeout,
                                 .backend = BACKEND_OF(backend) };
    fx_executor *pool = fx_thread_pool_new(&attr);
    if (!pool && errno == ENOTSUP)
        exit(0); /* the kernel has no io_uring for us: the other backend's tests stand */
    ck_assert_ptr_nonnull(pool);
    return pool;
}

static inline fx_executor *pool_on(int backend, size_t workers)
{
    return impatient_pool_on(backend, workers, 0);
}

struct operation {
    struct fxi_request request;
    int32_t result;
    int is_over;
};

static inline void operation_over(struct fxi_request *request, int32_t result)
{
    struct operation *operation = fxi_container_of(request, struct operation, request);
    operation->result = result;
    fxi_store_release(&operation->is_over, 1);
    fxi_unpark(operation, 1);
}

static inline bool operation_is_on(const void *arg)
{
    const struct operation *operation = arg;
    return !fxi_load_acquire(&operation->is_over);
}

/* Of one whose entry is prepared. */
static inline int operation_begin(struct operation *operation)
{
    operation->is_over = 0;
    operation->request.complete = operation_over;
    return fxi_request_begin(fxi_worker_self, &operation->request);
}

static inline int32_t operation_wait(struct operation *operation)
{
    struct fxi_wait wait = { .address = operation,
                             .condition = operation_is_on,
                             .arg = operation,
                             .deadline = FX_FOREVER,
                             .is_no_stop_point = true };
    while (operation_is_on(operation))
        fxi_park_wait(&wait, NULL);
    return operation->result;
}

static inline int32_t operation_run(struct operation *operation)
{
    int rc = operation_begin(operation);
    return rc != 0 ? rc : operation_wait(operation);
}

/* OPERATION(read, fd, buffer, n, offset): an operation with that entry, for as long as the block. */
#define OPERATION(name, kind, ...) \
    struct operation name = { 0 }; \
    io_uring_prep_##kind(&name.request.entry, __VA_ARGS__)

#endif
