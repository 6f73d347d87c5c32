#include "module_loop.h"

void module_loop(unsigned long *turns)
{
    for (;;)
        __atomic_fetch_add(turns, 1, __ATOMIC_RELEASE);
}

void module_loop_until(unsigned long *turns, int *end)
{
    while (!__atomic_load_n(end, __ATOMIC_ACQUIRE))
        __atomic_fetch_add(turns, 1, __ATOMIC_RELEASE);
}

void module_call(void (*fn)(void *), void *arg)
{
    fn(arg);
    __asm__ volatile(""); /* the call is none that becomes a jump */
}

long module_integer(void (*fn)(void *), void *arg)
{
    fn(arg);
    return 0x123456789abcdef;
}

struct module_two module_pair(void (*fn)(void *), void *arg)
{
    fn(arg);
    return (struct module_two){ -7, 0x7eeeeeeeeeeeeee };
}

double module_double(void (*fn)(void *), void *arg)
{
    fn(arg);
    return 0.1;
}

_Complex double module_complex(void (*fn)(void *), void *arg)
{
    fn(arg);
    return 0.25 + 0.5i;
}

long double module_long_double(void (*fn)(void *), void *arg)
{
    fn(arg);
    return 1e4000L;
}
