#include <errno.h>

#include "base/annotate.h"
#include "context/registry.h"
#include "park/park.h"
#include "stop/stop.h"

/* A thread that waits for another's end. */
struct joiner {
    const fx_thread *thread;
    bool is_waited_for_at_exit; /* it is one that the end of the program waits for */
};

/* Of a thread in exit() nobody will see the end, and a joiner that this exit() waits for would wait
 * for ever, as it would. The others wait on: the program is ending with the status that the exiting
 * thread gave it, and they have no part in that. */
static bool must_wait(const void *arg)
{
    const struct joiner *joiner = arg;
    enum fxi_thread_state state = fxi_thread_state(joiner->thread);
    return state == FXI_THREAD_ALIVE ||
           (state == FXI_THREAD_EXITING && !joiner->is_waited_for_at_exit);
}

/* Waits while it is alive. The wake is not lost: fxi_thread_publish_end changes the state before it
 * unparks. The record lives on: the caller has a handle. */
static int wait_for_end(fx_thread *thread, fx_deadline deadline)
{
    struct fxi_context *self = fxi_self();
    struct joiner joiner = { thread, self && fxi_thread_is_joined_at_exit(fxi_thread_of(self)) };
    struct fxi_wait wait = { .address = &thread->state,
                             .condition = must_wait,
                             .arg = &joiner,
                             .deadline = deadline,
                             .awaits_end = true };
    while (must_wait(&joiner)) {
        int rc = fxi_park_wait(&wait, NULL);
        if (rc != 0 && rc != -EAGAIN)
            return rc;
    }
    fxi_happens_after(&thread->state);
    return fxi_thread_state(thread) == FXI_THREAD_LOST ? -ESRCH : 0;
}

int fx_thread_join_until(fx_thread *thread, fx_deadline deadline, void **result)
{
    if (!thread || fxi_thread_state(thread) == FXI_THREAD_NEW ||
        fxi_thread_state(thread) == FXI_THREAD_STARTING)
        return -EINVAL;
    if (fxi_current == &thread->context)
        return -EDEADLK;
    int rc = wait_for_end(thread, deadline);
    if (rc == 0 && result) {
        fxi_store_relaxed(&thread->result_was_fetched, true);
        *result = thread->result;
    }
    return fxi_stop_point(rc);
}

int fx_thread_join_for(fx_thread *thread, fx_nsec timeout, void **result)
{
    return fx_thread_join_until(thread, fx_deadline_after(timeout), result);
}

int fx_thread_join(fx_thread *thread, void **result)
{
    return fx_thread_join_until(thread, FX_FOREVER, result);
}
