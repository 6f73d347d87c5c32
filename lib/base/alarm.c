/* M. L. Fredman, R. Sedgewick, D. D. Sleator, R. E. Tarjan, "The Pairing Heap" (1986). */
#include "base/alarm.h"

/* Of two trees without siblings one, the earlier as its root. */
static struct fxi_alarm *meld(struct fxi_alarm *a, struct fxi_alarm *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->deadline < a->deadline) {
        struct fxi_alarm *earlier = b;
        b = a;
        a = earlier;
    }
    b->next = a->child;
    if (b->next)
        b->next->previous = b;
    b->previous = a;
    a->child = b;
    return a;
}

/* Of a list of siblings one tree: in pairs from the left, then all pairs from the right. */
static struct fxi_alarm *meld_siblings(struct fxi_alarm *first)
{
    struct fxi_alarm *pairs = NULL, *tree = NULL; /* the latest pair first, linked by `next` */
    while (first) {
        struct fxi_alarm *second = first->next;
        struct fxi_alarm *rest = second ? second->next : NULL;
        first->next = NULL;
        if (second)
            second->next = NULL;
        first = meld(first, second);
        first->next = pairs;
        pairs = first;
        first = rest;
    }
    while (pairs) {
        struct fxi_alarm *rest = pairs->next;
        pairs->next = NULL;
        tree = meld(tree, pairs);
        pairs = rest;
    }
    return tree;
}

static void set_root(struct fxi_alarms *alarms, struct fxi_alarm *root)
{
    alarms->first = root;
    if (root)
        root->previous = root;
}

void fxi_alarm_set(struct fxi_alarms *alarms, struct fxi_alarm *alarm)
{
    alarm->child = alarm->next = NULL;
    set_root(alarms, meld(alarms->first, alarm));
}

void fxi_alarm_unset(struct fxi_alarms *alarms, struct fxi_alarm *alarm)
{
    struct fxi_alarm *below = meld_siblings(alarm->child);
    if (alarms->first == alarm) {
        set_root(alarms, below);
    } else {
        if (alarm->previous->child == alarm)
            alarm->previous->child = alarm->next;
        else
            alarm->previous->next = alarm->next;
        if (alarm->next)
            alarm->next->previous = alarm->previous;
        set_root(alarms, meld(alarms->first, below));
    }
    alarm->previous = NULL;
}

size_t fxi_alarms_ring(struct fxi_alarms *alarms, fx_deadline now)
{
    size_t count = 0;
    while (alarms->first && alarms->first->deadline <= now) {
        struct fxi_alarm *alarm = alarms->first;
        fxi_alarm_unset(alarms, alarm);
        alarm->rings(alarm);
        count++;
    }
    return count;
}
