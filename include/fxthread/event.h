/* Events: a flag that threads wait for, as Python's threading.Event.
 *
 * An event is 4 bytes, placed by the caller; all-zero bytes, and FX_EVENT_INIT, are one that is not
 * set. Any number of threads may set, clear and wait at the same time. Illegal: a pointer that is
 * NULL; copying an event that is in use; giving up its memory while a call on it is under way, but
 * for this: a thread whose wait has returned 0 may free the event, if no other thread will use it,
 * although the call that set it may not have returned yet.
 *
 *     void *answer_slowly(void *answered) {
 *         fx_sleep(FX_MSEC(20));
 *         fx_event_set(answered);
 *         return NULL;
 *     }
 *
 *     int main(void) {
 *         fx_event answered = FX_EVENT_INIT;
 *         fx_thread *t = fx_thread_spawn(answer_slowly, &answered);
 *         if (fx_event_wait_for(&answered, FX_SEC(1)) == -ETIMEDOUT)
 *             puts("no answer within a second");
 *         fx_thread_join(t, NULL);
 *         fx_thread_unref(t);
 *     }
 *
 * What a thread wrote before fx_event_set() is seen by each thread whose fx_event_is_set() is true,
 * or whose wait returns 0, because of it.
 */
#ifndef FXTHREAD_EVENT_H
#define FXTHREAD_EVENT_H

#include <fxthread/duration.h>

FX_BEGIN_DECLS

typedef struct fx_event {
    uint32_t word; /* the library's */
} fx_event;

#define FX_EVENT_INIT { 0 }

/* Sets it, and wakes all who wait. 0, also if it was set. Does not block; no stop point; not
 * signal-safe. */
FX_API int fx_event_set(fx_event *event);

/* Takes the flag back: waits that begin from now on block. One that was woken is not affected,
 * though it may not have returned yet. 0, also if it was not set. Does not block; no stop point;
 * signal-safe. */
FX_API int fx_event_clear(fx_event *event);

/* Whether it is set. Does not block; no stop point; signal-safe. */
FX_API bool fx_event_is_set(const fx_event *event);

/* Waits until it is set. 0: it is, or was when this wait was woken; -ETIMEDOUT: it was not, for the
 * whole time; -ENOMEM: a foreign thread's first call found no memory. Blocks; a stop point; not
 * signal-safe. */
FX_API int fx_event_wait(fx_event *event);
FX_API int fx_event_wait_for(fx_event *event, fx_nsec timeout);
FX_API int fx_event_wait_until(fx_event *event, fx_deadline deadline);

FX_INLINE bool fx_event_is_set(const fx_event *event)
{
    /* acquire: pairs with the release of fx_event_set */
    return (__atomic_load_n(&event->word, __ATOMIC_ACQUIRE) & 1) != 0;
}

FX_INLINE int fx_event_wait(fx_event *event)
{
    return fx_event_is_set(event) ? 0 : fx_event_wait_until(event, FX_FOREVER);
}

FX_END_DECLS

#endif
