/* The one door to wait through.
 *
 * Guarantee: fxi_park() queues the caller at an address if a condition, looked at under the address's
 *   bucket lock, says so, and sleeps until it is chosen by fxi_unpark() or the deadline is past.
 *   Waiters at one address are chosen in the order in which they came. Nothing is allocated. No wait
 *   ends early, whatever signals come.
 * State of a waiter: `address` NULL: not queued. Not NULL, `woken` 0: queued. Not NULL and off the
 *   queue: chosen, and `woken` becomes 1 in a moment.
 * Wake rule: who changes what a condition looks at does so before it calls fxi_unpark(), which takes
 *   the same bucket's lock: a waiter has either queued by then and is found, or looks at the
 *   condition later and sees the change. So none sleeps over its wake.
 * Lifetime: a waker's last touch of a waiter is the store to `woken`, made under the bucket's lock;
 *   the futex wake after it only names an address, which may be gone by then.
 * Source: the parking lot of WebKit ("Locking in WebKit", F. Pizlo, 2016). */
#ifndef FXI_PARK_PARK_H
#define FXI_PARK_PARK_H

#include <fxthread/duration.h>

#include "context/context.h"

/* The condition of a wait: true to wait. Called under the bucket's lock; calls nothing of park. */
typedef bool (*fxi_park_condition)(const void *arg);

/* 0: chosen; -EAGAIN: the condition was false; -ETIMEDOUT; -ENOMEM: a foreign thread's first call
 * found no memory. */
int fxi_park(const void *address, fxi_park_condition condition, const void *arg,
             fx_deadline deadline);

/* Wakes the first n waiters at the address; returns how many there were. The address's object is not
 * touched, and may be gone. */
size_t fxi_unpark(const void *address, size_t n);

/* Waits for the deadline alone. -ENOMEM as above; else 0. */
int fxi_park_until(fx_deadline deadline);

#endif
