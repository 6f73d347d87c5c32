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

/* --- the heap --------------------------------------------------------------------------------- */

static void set_root(struct fxi_alarms *alarms, struct fxi_alarm *root)
{
    alarms->root = root;
    if (root)
        root->previous = root;
}

static void add_to_heap(struct fxi_alarms *alarms, struct fxi_alarm *alarm)
{
    alarm->child = alarm->next = NULL;
    set_root(alarms, meld(alarms->root, alarm));
}

static void take_off_heap(struct fxi_alarms *alarms, struct fxi_alarm *alarm)
{
    struct fxi_alarm *below = meld_siblings(alarm->child);
    if (alarms->root == alarm) {
        set_root(alarms, below);
    } else {
        if (alarm->previous->child == alarm)
            alarm->previous->child = alarm->next;
        else
            alarm->previous->next = alarm->next;
        if (alarm->next)
            alarm->next->previous = alarm->previous;
        set_root(alarms, meld(alarms->root, below));
    }
}

/* --- the line --------------------------------------------------------------------------------- */

static bool is_in_line(const struct fxi_alarm *alarm)
{
    return alarm->child == alarm;
}

static void append(struct fxi_alarms *alarms, struct fxi_alarm *alarm)
{
    alarm->child = alarm;
    alarm->next = NULL;
    if (alarms->line) {
        alarm->previous = alarms->line_last;
        alarms->line_last->next = alarm;
    } else {
        alarm->previous = alarm;
        alarms->line = alarm;
    }
    alarms->line_last = alarm;
}

static void take_off_line(struct fxi_alarms *alarms, struct fxi_alarm *alarm)
{
    struct fxi_alarm *next = alarm->next;
    bool is_first = alarms->line == alarm;
    if (is_first)
        alarms->line = next;
    else
        alarm->previous->next = next;
    if (next)
        next->previous = is_first ? next : alarm->previous;
    else
        alarms->line_last = is_first ? NULL : alarm->previous;
}

/* --- both ------------------------------------------------------------------------------------- */

static void find_first(struct fxi_alarms *alarms)
{
    struct fxi_alarm *root = alarms->root, *line = alarms->line;
    alarms->first = line && (!root || line->deadline <= root->deadline) ? line : root;
}

void fxi_alarm_set(struct fxi_alarms *alarms, struct fxi_alarm *alarm)
{
    struct fxi_alarm *last = alarms->line_last;
    if (last && alarm->deadline < last->deadline) {
        if (last != alarms->line) {
            add_to_heap(alarms, alarm);
            find_first(alarms);
            return;
        }
        /* One that is far off does not keep the others from the line. */
        take_off_line(alarms, last);
        add_to_heap(alarms, last);
    }
    append(alarms, alarm);
    find_first(alarms);
}

void fxi_alarm_unset(struct fxi_alarms *alarms, struct fxi_alarm *alarm)
{
    if (is_in_line(alarm))
        take_off_line(alarms, alarm);
    else
        take_off_heap(alarms, alarm);
    alarm->previous = NULL;
    if (alarms->first == alarm)
        find_first(alarms);
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
