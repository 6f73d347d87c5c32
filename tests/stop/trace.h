/* The order in which things ran, as a string that a test compares. */
#ifndef TESTS_STOP_TRACE_H
#define TESTS_STOP_TRACE_H

#include <stdio.h>
#include <string.h>

/* gcc suspects every variable that lives across FX_TRY, a loop's counter outside of it too. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wclobbered"
#endif

static char trace[4096];

static inline void note(const char *what)
{
    size_t length = strlen(trace);
    snprintf(trace + length, sizeof trace - length, "%s ", what);
}

/* For FX_DEFER. */
static inline void note_deferred(void *what)
{
    note((const char *)what);
}

/* Whether that is what was noted since the last look. */
static inline int traced(const char *expected)
{
    static char last[sizeof trace];
    strcpy(last, trace);
    trace[0] = '\0';
    size_t length = strlen(last);
    if (length > 0)
        last[length - 1] = '\0'; /* the last note's space */
    if (strcmp(last, expected) == 0)
        return 1;
    fprintf(stderr, "traced \"%s\", not \"%s\"\n", last, expected);
    return 0;
}

/* Uses much of the stack, and so overwrites what lies below the caller's frame. */
__attribute__((noinline, unused)) static int scribble(int byte)
{
    volatile unsigned char bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)byte;
    return bytes[17];
}

#endif
