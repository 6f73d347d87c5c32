/* A backend: how one worker's requests are carried out. There are two, executor/ring.c and
 * executor/epoll.c; executor/request.c keeps what they have in common.
 *
 * All calls are made by the worker, but `forget`. */
#ifndef FXI_EXECUTOR_BACKEND_H
#define FXI_EXECUTOR_BACKEND_H

#include "executor/request.h"

struct fxi_backend {
    const struct fxi_backend_ops *ops;
    struct fxi_worker *worker;
    /* Of one that hands requests over many at a time: how many have begun since the worker's loop
     * came round, and how many had when it last did; 0: so slowly that they waited for no others. */
    size_t batch, last_batch;
};

struct fxi_backend_ops {
    /* For the worker, whose event it watches. 0, -ENOMEM, -EMFILE, -ENFILE. */
    int (*open)(struct fxi_worker *worker, struct fxi_backend **backend);
    void (*close)(struct fxi_backend *backend);
    void (*forget)(struct fxi_backend *backend); /* fxi_requests_forget, but for the event */

    int (*begin)(struct fxi_backend *backend, struct fxi_request *request);
    void (*flush)(struct fxi_backend *backend);
    void (*flush_soon)(struct fxi_backend *backend);
    void (*cancel)(struct fxi_backend *backend, struct fxi_request *request); /* once at most */

    void (*look)(struct fxi_backend *backend, bool busy);
    bool (*has_news)(const struct fxi_backend *backend);
    void (*wait)(struct fxi_backend *backend, fx_deadline deadline);
};

extern const struct fxi_backend_ops fxi_ring_ops, fxi_epoll_ops;

/* For a backend: the request is over. From here on it may be gone. */
void fxi_request_over(struct fxi_request *request, int32_t result);

/* Whether the epoll backend knows the operation. */
bool fxi_epoll_can(uint8_t opcode);

#endif
