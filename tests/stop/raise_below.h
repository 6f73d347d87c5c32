/* Raising from some frames further down. */
#ifndef TESTS_STOP_RAISE_BELOW_H
#define TESTS_STOP_RAISE_BELOW_H

#include <fxthread.h>

/* Raises `code` unless it is 0. */
__attribute__((noinline)) static void raise_below(int depth, fx_exc code)
{
    static volatile int returned;
    if (depth > 0)
        raise_below(depth - 1, code);
    else if (code != 0)
        fx_raise(code);
    returned++; /* so that the call above is none that the compiler makes a jump of */
}

#endif
