/* Points of time that something is to be done at: a line of those that come in the order in which they
 * will be due, as they do where all wait equally long, and a pairing heap of the others. The nodes lie in
 * what waits, so that a wait allocates nothing. To set and to ring one of the line takes the same few
 * instructions however many there are, and touches only its neighbours. Whoever has them sees to it that
 * no two calls meet. */
#ifndef FXI_BASE_ALARM_H
#define FXI_BASE_ALARM_H

#include <fxthread/duration.h>

struct fxi_alarm {
    fx_deadline deadline;
    void (*rings)(struct fxi_alarm *alarm); /* for fxi_alarms_ring: it is not set by then, and may be
                                             * gone afterwards */
    struct fxi_alarm *child, *next;  /* the first child; the next sibling. In the line: itself; the next */
    struct fxi_alarm *previous;      /* the sibling before, or the parent; itself: the root. In the line:
                                      * the one before; itself: the first. NULL: it is not set */
};

struct fxi_alarms {
    struct fxi_alarm *first; /* the earliest of all; NULL: none */
    struct fxi_alarm *root;  /* of the heap */
    struct fxi_alarm *line, *line_last;
};

static inline bool fxi_alarm_is_set(const struct fxi_alarm *alarm)
{
    return alarm->previous != NULL;
}

void fxi_alarm_set(struct fxi_alarms *alarms, struct fxi_alarm *alarm);
void fxi_alarm_unset(struct fxi_alarms *alarms, struct fxi_alarm *alarm);

/* Rings all that are due; how many. */
size_t fxi_alarms_ring(struct fxi_alarms *alarms, fx_deadline now);

/* When the first one is due; FX_FOREVER: there is none. */
static inline fx_deadline fxi_alarms_next(const struct fxi_alarms *alarms)
{
    return alarms->first ? alarms->first->deadline : FX_FOREVER;
}

#endif
