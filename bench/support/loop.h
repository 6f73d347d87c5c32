/* What a call costs that is made over and over again by one thread. */
#ifndef BENCH_SUPPORT_LOOP_H
#define BENCH_SUPPORT_LOOP_H

/* Calls loop(n), which makes n calls, for so many seconds. Returns nanoseconds a call. */
double bench_loop_measure(void (*loop)(long n), double seconds);

#endif
