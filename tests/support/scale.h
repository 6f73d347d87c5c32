/* How much a stress test does: FX_TEST_SCALE is a percentage, 100 if unset. */
#ifndef TESTS_SUPPORT_SCALE_H
#define TESTS_SUPPORT_SCALE_H

#include <stdlib.h>

/* That share of n, at least 1. */
static inline int scaled(int n)
{
    const char *text = getenv("FX_TEST_SCALE");
    double percent = text && atof(text) > 0 ? atof(text) : 100;
    double share = n * percent / 100;
    return share < 1 ? 1 : (int)share;
}

#endif
