/* Barriers: a number of threads wait until all of them are there, as Python's threading.Barrier.
 *
 * A barrier is 32 bytes, placed by the caller and initialised by fx_barrier_init() or
 * FX_BARRIER_INIT(parties); all-zero bytes are one of no parties, which nobody can wait at. It
 * serves again and again: when the last party of a round has arrived, all go on and the next round
 * begins. A wait that times out, an action that raises, and fx_barrier_abort() break it: all that
 * wait and all that come later get -EPIPE, until fx_barrier_reset() mends it.
 * Illegal: a pointer that is NULL; copying one that is in use; initialising it again, or giving up
 * its memory, while a call on it is under way; to wait at it in its own action.
 *
 *     static void swap_buffers(void *turn) {
 *         ++*(int *)turn;
 *     }
 *
 *     void *simulate(void *step_done) {
 *         for (int step = 0; step < 100; step++) {
 *             ...
 *             if (fx_barrier_wait(step_done) < 0)     // 0 to parties - 1: which arrival this was
 *                 break;
 *         }
 *         return NULL;
 *     }
 *
 *     int main(void) {
 *         int turn = 0;
 *         fx_barrier step_done;
 *         fx_barrier_init(&step_done, 2, swap_buffers, &turn);
 *         fx_thread *other = fx_thread_spawn(simulate, &step_done);
 *         simulate(&step_done);
 *         fx_thread_join(other, NULL);
 *         fx_thread_unref(other);
 *     }
 *
 * What each party wrote before it arrived is seen by the action, and what the action wrote, by all
 * parties when they go on.
 */
#ifndef FXTHREAD_BARRIER_H
#define FXTHREAD_BARRIER_H

#include <fxthread/duration.h>

FX_BEGIN_DECLS

#define FX_BARRIER_MAX UINT32_C(0x0fffffff) /* the largest number of parties */

typedef struct fx_barrier {
    uint64_t state;   /* the library's, as all of them */
    uint32_t parties;
    uint32_t reserved;
    fx_callback action;
    void *arg;
} fx_barrier;

#define FX_BARRIER_INIT(parties) { 0, (parties), 0, 0, 0 }

/* Initialises it for a number of parties from 1 to FX_BARRIER_MAX. Unless `action` is NULL, the
 * last one to arrive calls action(arg) before any goes on. 0 or -EINVAL. Does not block; no stop
 * point; signal-safe. */
FX_API int fx_barrier_init(fx_barrier *barrier, uint32_t parties, fx_callback action, void *arg);

/* Arrives, and waits until all parties have. 0 to parties - 1: how many had arrived before it;
 * -EPIPE: it is broken, or was reset while this one waited, or the time was over before all had
 * arrived, which breaks it; -ETIMEDOUT: the time was over before this one could arrive, as the
 * parties of the round before were still leaving, and nothing is broken; -EINVAL: it has no
 * parties; -ENOMEM: a foreign thread's first call found no memory, and it has not arrived. Once all
 * have arrived the time counts no more, and the wait lasts until the action has returned. If the
 * action raises, the exception goes on in the thread that called it. Blocks; a stop point (a stop
 * that takes a waiting party away breaks the barrier); not signal-safe. */
FX_API int fx_barrier_wait(fx_barrier *barrier);
FX_API int fx_barrier_wait_for(fx_barrier *barrier, fx_nsec timeout);
FX_API int fx_barrier_wait_until(fx_barrier *barrier, fx_deadline deadline);

/* Mends a broken one, and begins a new round: those that wait get -EPIPE, those that come later
 * begin anew (and wait for a moment while the former are still leaving). 0. Does not block; no stop
 * point; not signal-safe. */
FX_API int fx_barrier_reset(fx_barrier *barrier);

/* Breaks it. 0, also if it is broken. Does not block; no stop point; not signal-safe. */
FX_API int fx_barrier_abort(fx_barrier *barrier);

/* Whether it is broken; how many wait at it now; how many parties it has. Do not block; no stop
 * points; signal-safe. */
FX_API bool fx_barrier_broken(const fx_barrier *barrier);
FX_API uint32_t fx_barrier_n_waiting(const fx_barrier *barrier);
FX_API uint32_t fx_barrier_parties(const fx_barrier *barrier);

FX_END_DECLS

#endif
