/* The heap of deadlines: whatever is set and unset, what is due rings, earliest first, and once. */
#include <check.h>
#include <stdlib.h>

#include "base/alarm.h"

#include "../thread/suite.h"

enum { N = 300, STEPS = 20000 };

static struct entry {
    struct fxi_alarm alarm;
    bool is_set;
} entries[N];

static fx_deadline latest;
static size_t rung;

static void ring(struct fxi_alarm *alarm)
{
    struct entry *entry = (struct entry *)(void *)alarm;
    ck_assert(entry->is_set);
    ck_assert(!fxi_alarm_is_set(alarm));
    ck_assert(alarm->deadline >= latest);
    latest = alarm->deadline;
    entry->is_set = false;
    rung++;
}

static fx_deadline earliest(void)
{
    fx_deadline first = FX_FOREVER;
    for (int i = 0; i < N; i++)
        if (entries[i].is_set && (first == FX_FOREVER || entries[i].alarm.deadline < first))
            first = entries[i].alarm.deadline;
    return first;
}

static size_t due(fx_deadline now)
{
    size_t count = 0;
    for (int i = 0; i < N; i++)
        count += entries[i].is_set && entries[i].alarm.deadline <= now;
    return count;
}

START_TEST(what_is_due_rings_in_order_and_once)
{
    struct fxi_alarms alarms = { 0 };
    unsigned seed = 17;
    fx_deadline now = 0;
    for (int i = 0; i < STEPS; i++) {
        struct entry *entry = &entries[rand_r(&seed) % N];
        if (entry->is_set && rand_r(&seed) % 3 == 0) {
            fxi_alarm_unset(&alarms, &entry->alarm);
            entry->is_set = false;
        } else if (!entry->is_set) {
            entry->alarm.deadline = now + rand_r(&seed) % 50;
            entry->alarm.rings = ring;
            fxi_alarm_set(&alarms, &entry->alarm);
            entry->is_set = true;
        }
        ck_assert_int_eq(fxi_alarms_next(&alarms), earliest());
        if (rand_r(&seed) % 8 == 0) {
            size_t expected = due(++now);
            latest = rung = 0;
            ck_assert_uint_eq(fxi_alarms_ring(&alarms, now), expected);
            ck_assert_uint_eq(rung, expected);
        }
    }
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, what_is_due_rings_in_order_and_once);
}

int main(void)
{
    return run_suite("alarm", add_tests);
}
