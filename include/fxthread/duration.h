/* Durations and deadlines.
 *
 * A duration (fx_nsec) is a signed count of nanoseconds from now. 0 means "try, do not wait";
 * FX_FOREVER means "without limit"; any other negative duration is already past, as 0 is.
 * A deadline (fx_deadline) is a point of CLOCK_MONOTONIC in nanoseconds, or FX_FOREVER. A loop that
 * waits again and again computes its deadline once and uses the calls whose names end in _until.
 *
 *     fx_deadline end = fx_deadline_after(FX_SEC(2.5));
 *     while (!ready())
 *         if (fx_thread_join_until(helper, end, NULL) == -ETIMEDOUT)
 *             break;
 */
#ifndef FXTHREAD_DURATION_H
#define FXTHREAD_DURATION_H

#include <fxthread/base.h>

FX_BEGIN_DECLS

typedef int64_t fx_nsec;     /* nanoseconds from now, or FX_FOREVER */
typedef int64_t fx_deadline; /* nanoseconds of CLOCK_MONOTONIC, or FX_FOREVER */

#define FX_FOREVER ((fx_nsec)-1)

/* Durations from numbers, which may have fractions: FX_SEC(0.5), FX_MSEC(10), FX_USEC(3). The
 * result is exact for whole numbers up to 2^53 nanoseconds, which is 104 days. */
#define FX_SEC(n) ((fx_nsec)((n)*1e9))
#define FX_MSEC(n) ((fx_nsec)((n)*1e6))
#define FX_USEC(n) ((fx_nsec)((n)*1e3))

/* The present point of CLOCK_MONOTONIC. Does not block; signal-safe. */
FX_API fx_deadline fx_now(void);

/* The deadline that lies `duration` ahead of now: FX_FOREVER for FX_FOREVER, now for 0 and for what
 * is past, and the last representable point for what would lie beyond it. Does not block;
 * signal-safe. */
FX_API fx_deadline fx_deadline_after(fx_nsec duration);

FX_END_DECLS

#endif
