/* A library of the program's, which a stop leaves alone unless it opts in. The same functions are
 * compiled without unwind tables, too, under names that begin with bare_. */
#ifndef TESTS_STOP_MODULE_LOOP_H
#define TESTS_STOP_MODULE_LOOP_H

#ifdef WITHOUT_TABLES
#define module_loop bare_loop
#define module_loop_until bare_loop_until
#define module_call bare_call
#define module_integer bare_integer
#define module_pair bare_pair
#define module_double bare_double
#define module_complex bare_complex
#define module_long_double bare_long_double
#endif

/* Counts for ever; and until *end is not 0. */
void module_loop(unsigned long *turns);
void module_loop_until(unsigned long *turns, int *end);

/* Calls fn(arg). */
void module_call(void (*fn)(void *), void *arg);

/* The same, and then return something, each kind in other registers. */
struct module_two {
    long one, other;
};

long module_integer(void (*fn)(void *), void *arg);
struct module_two module_pair(void (*fn)(void *), void *arg);
double module_double(void (*fn)(void *), void *arg);
_Complex double module_complex(void (*fn)(void *), void *arg);
long double module_long_double(void (*fn)(void *), void *arg);

#endif
