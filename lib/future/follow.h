/* What follows a future: watches of those who wait for one of several, and calls made when it is
 * done.
 *
 * Both hang on the future, and are changed under its lock. Who finds it done when he comes to add
 * one makes it fire himself; who makes it done takes them all, watches first. */
#ifndef FXI_FUTURE_FOLLOW_H
#define FXI_FUTURE_FOLLOW_H

#include "future/future.h"

/* Whoever waits for one of several futures: a set on its stack, at which it parks, with a watch on
 * each. The finisher fires the watches under the future's lock, and only there touches them and
 * their set; so a watch that was removed under that lock is its owner's alone. */
struct fxi_watch {
    struct fxi_list listed;     /* next is NULL: not on a future's list */
    struct fxi_watch_set *set;
    fx_future *future;
    size_t index;               /* the owner's own */
    struct fxi_watch *next_fired;
};

struct fxi_watch_set {
    struct fxi_watch *fired;    /* the latest first; pushed by finishers, taken by the owner */
    size_t unfired;             /* watches, added or to be added, that have not fired */
    bool failures_only;         /* the owner waits for an exception, or for all; else for any */
    bool met;                   /* of failures_only: that has come */
};

/* Adds a watch on the future; it fires at once if that is done. The caller has counted it in
 * set->unfired, and holds a reference on the future until it has removed the watch. */
void fxi_watch_add(struct fxi_watch *watch, struct fxi_watch_set *set, fx_future *future);

/* From here on no finisher touches the watch, whether it has fired or not. */
void fxi_watch_remove(struct fxi_watch *watch);

/* Counts off a watch that will not be added. */
void fxi_watch_omit(struct fxi_watch_set *set);

/* Waits until there is what the set waits for: 0. -ETIMEDOUT, -ECANCELED, -ENOMEM as
 * fxi_park_wait. */
int fxi_watch_wait(struct fxi_watch_set *set, fx_deadline deadline);

/* Those fired since the last call, in the order in which they did; linked by next_fired. */
struct fxi_watch *fxi_watch_take(struct fxi_watch_set *set);

/* A call when a future is done, in the order of fx_future_add_done_callback; made now, and true
 * returned as of fxi_future_finish, where it is done. `node` is freed with fxi_free before the
 * call. One of the library's own (`is_own`) lies in something else, and is made with NULL where
 * the future goes without ever having been done (a promise that was given up): it raises nothing
 * then. */
struct fxi_callback {
    struct fxi_callback *next;
    fx_done_callback fn;
    void *arg;
    bool is_own;
};
bool fxi_future_call_when_done(fx_future *future, struct fxi_callback *node);

/* The future has become done, by the caller: fires and calls. Returned as of fxi_future_finish. */
bool fxi_future_tell_followers(fx_future *future);

/* The first half of that: true if there are calls to make, by fxi_future_resume_callbacks. */
bool fxi_future_tell_watches(fx_future *future);

/* What is left to be called: after the above, or after pthread_exit() or the like in a callback. */
bool fxi_future_resume_callbacks(fx_future *future);

#endif
