/* A request: one operation of I/O that a worker carries out by its backend, while its tasks go on.
 *
 * It is described as io_uring has it, by a prepared submission entry; the epoll backend reads the same
 * description. A request belongs to one worker from its beginning to its completion, and all calls are
 * made by that worker's thread: in its loop, in `complete`, or on one of its fibers.
 *
 * State and owner: its maker's until fxi_request_begin has returned 0; then the backend's, until
 *   `complete` is called, exactly once, whatever happens: from there on it is its maker's again, and may
 *   be gone when `complete` returns. What the entry points to stays the kernel's as long.
 * A cancel is asked for, and answered by the same completion: with -ECANCELED if the request had not taken
 *   effect, else with what came of it. */
#ifndef FXI_EXECUTOR_REQUEST_H
#define FXI_EXECUTOR_REQUEST_H

#include "executor/blocking.h"
#include "executor/worker.h"
#include "kernel/uring_entry.h"

struct fxi_request {
    struct io_uring_sqe entry; /* prepared by its maker, but for user_data */
    /* In its worker's loop, which is no task's: it does not wait. `result` as of a completion entry. */
    void (*complete)(struct fxi_request *request, int32_t result);
    bool is_of_future;         /* its maker's: fxi_requests_cancel_futures is for it, too */

    /* From here on set by the calls below. */
    bool is_cancelled;         /* a cancel was asked for */
    bool is_over;
    struct fxi_worker *worker;
    struct fxi_list listed;    /* among those of the worker that are in flight */
    struct fxi_list queued;    /* the backend's, while it is in flight, as is all that follows */
    uint8_t stage;
    bool is_ready;             /* its descriptor was, after a wait for that */
    short events;              /* what it waits for */
    int32_t result;            /* or what has been transferred of it until now; 0: nothing */
    struct fxi_blocking_call call;
    struct fxi_post called;    /* that call's end, on its way to the worker */
};

/* Begins it on the calling worker. 0: `complete` will be called, later, from the worker's loop.
 * -ENOTSUP: the backend cannot do such a thing; -ENOMEM, -EMFILE, -ENFILE: there is no backend for it, which
 * its first request opens. It goes to the kernel when the worker next looks around, or with
 * fxi_requests_flush. */
int fxi_request_begin(struct fxi_worker *worker, struct fxi_request *request);
void fxi_requests_flush(struct fxi_worker *worker);

/* The same, of one that may as well go to the kernel a little later, with others; not where its task
 * has lately gone on for long. */
void fxi_requests_flush_soon(struct fxi_worker *worker);

/* Asks to cancel it, while it is in flight; twice is fine, and so is one that is over, if it is still
 * there. */
void fxi_request_cancel(struct fxi_request *request);

/* The same for all that are of futures. */
void fxi_requests_cancel_futures(struct fxi_worker *worker);

/* Whether the backend can carry out such an operation. */
bool fxi_request_is_possible(fx_backend backend, uint8_t opcode);

/* --- for the worker's loop -------------------------------------------------------------------- */

/* Completes what is over. `busy`: the worker has something else to do before it will sleep, so that what
 * was begun goes to the kernel now. */
void fxi_requests_look(struct fxi_worker *worker, bool busy);

/* Whether there may be something to complete. */
bool fxi_requests_have_news(const struct fxi_worker *worker);

/* Sleeps until there is, or the worker's event is set, or the deadline is past. */
void fxi_requests_wait(struct fxi_worker *worker, fx_deadline deadline);

/* The worker, which has none in flight and is to be sent nothing, ends. */
void fxi_requests_end(struct fxi_worker *worker);

/* In a forked child, with the pool's lock held: gives up its parent's descriptors. */
void fxi_requests_forget(struct fxi_worker *worker);

#endif
