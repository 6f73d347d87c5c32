/* Which processors a measurement may use. */
#ifndef BENCH_SUPPORT_PIN_H
#define BENCH_SUPPORT_PIN_H

#include <stddef.h>

enum bench_pin {
    BENCH_PIN_NONE, /* the scheduler places the threads as it likes */
    BENCH_PIN_ONE,  /* everything on one processor */
    BENCH_PIN_BOTH  /* two processors, the threads alternating between them */
};

/* How titles ("pinned to one core") and how options and CSV files ("one") call it. */
const char *bench_pin_title(enum bench_pin pin);
const char *bench_pin_name(enum bench_pin pin);

/* Restricts the calling thread, and so the threads it starts from here on, to the processors of
 * `pin`, out of those that it may use now. 0 or a negative errno; -ENODEV where BENCH_PIN_BOTH
 * finds no second processor. */
int bench_pin_process(enum bench_pin pin);

/* Puts the calling thread, the `index`-th of a team, in its place: with BENCH_PIN_BOTH on the first
 * or the second of the processors that the process was restricted to, else nothing. */
int bench_pin_member(enum bench_pin pin, size_t index);

#endif
