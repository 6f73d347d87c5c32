#include "bench/support/pin.h"

#include <errno.h>
#include <sched.h>

const char *bench_pin_title(enum bench_pin pin)
{
    switch (pin) {
    case BENCH_PIN_ONE:
        return "pinned to one core";
    case BENCH_PIN_BOTH:
        return "pinned to two cores";
    case BENCH_PIN_NONE:
        break;
    }
    return "unpinned";
}

const char *bench_pin_name(enum bench_pin pin)
{
    switch (pin) {
    case BENCH_PIN_ONE:
        return "one";
    case BENCH_PIN_BOTH:
        return "both";
    case BENCH_PIN_NONE:
        break;
    }
    return "none";
}

/* Keeps of `set` what begins with its `first`-th processor and is at most `count` long. Returns how
 * many were kept. */
static size_t keep(cpu_set_t *set, size_t first, size_t count)
{
    size_t seen = 0, kept = 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, set))
            continue;
        if (seen >= first && kept < count)
            kept++;
        else
            CPU_CLR(cpu, set);
        seen++;
    }
    return kept;
}

static int restrict_to(size_t first, size_t count)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return -errno;
    if (keep(&set, first, count) != count)
        return -ENODEV;
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : -errno;
}

int bench_pin_process(enum bench_pin pin)
{
    switch (pin) {
    case BENCH_PIN_ONE:
        return restrict_to(0, 1);
    case BENCH_PIN_BOTH:
        return restrict_to(0, 2);
    case BENCH_PIN_NONE:
        break;
    }
    return 0;
}

int bench_pin_member(enum bench_pin pin, size_t index)
{
    return pin == BENCH_PIN_BOTH ? restrict_to(index % 2, 1) : 0;
}
