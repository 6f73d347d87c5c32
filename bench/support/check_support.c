/* What the benchmarks are measured with: statistics, histograms, options, rounds. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/support/experiment.h"
#include "bench/support/options.h"

START_TEST(median_and_quartiles_are_interpolated)
{
    struct bench_summary s = bench_summarise((const double[]){ 4, 1, 3, 2 }, 4);
    ck_assert_uint_eq(s.n, 4);
    ck_assert_double_eq(s.median, 2.5);
    ck_assert_double_eq(s.q1, 1.75);
    ck_assert_double_eq(s.q3, 3.25);
    ck_assert_double_eq(s.min, 1);
    ck_assert_double_eq(s.max, 4);
}
END_TEST

START_TEST(failed_rounds_are_left_out)
{
    struct bench_summary s = bench_summarise((const double[]){ NAN, 7, NAN }, 3);
    ck_assert_uint_eq(s.n, 1);
    ck_assert_double_eq(s.median, 7);
    ck_assert(isnan(bench_summarise((const double[]){ NAN }, 1).median));
}
END_TEST

START_TEST(a_ratio_is_formed_round_by_round)
{
    /* The machine was ten times slower in the second round: the ratio does not see it. */
    const double baseline[] = { 10, 100, 10 }, values[] = { 5, 50, 5 };
    struct bench_summary s = bench_summarise_ratio(values, baseline, 3);
    ck_assert_double_eq(s.median, 0.5);
    ck_assert_double_eq(s.min, 0.5);
    ck_assert_double_eq(s.max, 0.5);
}
END_TEST

START_TEST(fairness_goes_from_one_takes_all_to_all_the_same)
{
    ck_assert_double_eq_tol(bench_fairness((const double[]){ 5, 5, 5, 5 }, 4), 1, 1e-9);
    ck_assert_double_eq_tol(bench_fairness((const double[]){ 8, 0, 0, 0 }, 4), 0.25, 1e-9);
    ck_assert_double_eq_tol(bench_fairness((const double[]){ 0, 0 }, 2), 1, 1e-9);
}
END_TEST

START_TEST(a_histogram_knows_each_value_to_a_sixty_fourth)
{
    for (int64_t ns = 0; ns < INT64_C(1) << 40; ns += ns / 50 + 1) {
        double value = bench_histogram_value(bench_histogram_index(ns));
        ck_assert_double_le(fabs(value - (double)ns), (double)ns / 64 + 0.5);
    }
    ck_assert_uint_eq(bench_histogram_index(-5), 0);
    ck_assert_uint_eq(bench_histogram_index(INT64_MAX), BENCH_HISTOGRAM_BUCKETS - 1);
}
END_TEST

START_TEST(histogram_quantiles_survive_a_merge)
{
    static struct bench_histogram a, b;
    for (int i = 1; i <= 500; i++)
        bench_histogram_add(&a, i);
    for (int i = 501; i <= 1000; i++)
        bench_histogram_add(&b, i);
    bench_histogram_merge(&a, &b);
    ck_assert_uint_eq(a.count, 1000);
    ck_assert_double_eq_tol(bench_histogram_quantile(&a, 0.5), 500, 10);
    ck_assert_double_eq_tol(bench_histogram_quantile(&a, 0.99), 990, 20);
    ck_assert_double_eq(bench_histogram_quantile(&a, 1), 1000);
    static struct bench_histogram empty;
    ck_assert(isnan(bench_histogram_quantile(&empty, 0.5)));
}
END_TEST

START_TEST(thread_ranges_double_and_end_with_their_last)
{
    struct bench_threads t;
    ck_assert(bench_parse_threads("1-12,64", &t));
    ck_assert_uint_eq(t.n, 6);
    const int expected[] = { 1, 2, 4, 8, 12, 64 };
    for (size_t i = 0; i < t.n; i++)
        ck_assert_int_eq(t.count[i], expected[i]);
    ck_assert(!bench_parse_threads("", &t));
    ck_assert(!bench_parse_threads("4-2", &t));
    ck_assert(!bench_parse_threads("0-4", &t));
    ck_assert(!bench_parse_threads("2,", &t));
}
END_TEST

START_TEST(durations_have_units)
{
    int64_t ns;
    ck_assert(bench_parse_duration("50ns", &ns) && ns == 50);
    ck_assert(bench_parse_duration("1.5us", &ns) && ns == 1500);
    ck_assert(bench_parse_duration("2ms", &ns) && ns == 2000000);
    ck_assert(bench_parse_duration("0", &ns) && ns == 0);
    ck_assert(!bench_parse_duration("50", &ns));
    ck_assert(!bench_parse_duration("-1us", &ns));
    ck_assert(!bench_parse_duration("us", &ns));
}
END_TEST

START_TEST(pins_are_a_list_of_names)
{
    struct bench_pins pins;
    ck_assert(bench_parse_pins("one,none", &pins));
    ck_assert_uint_eq(pins.n, 2);
    ck_assert_int_eq(pins.pin[0], BENCH_PIN_ONE);
    ck_assert_int_eq(pins.pin[1], BENCH_PIN_NONE);
    ck_assert(!bench_parse_pins("on", &pins));
    ck_assert(!bench_parse_pins("one,", &pins));
}
END_TEST

/* Three peers: one works, one says that it cannot, one crashes. */
static const struct bench_peer works = { "works", NULL }, refuses = { "refuses", NULL },
                               crashes = { "crashes", NULL };
static const struct bench_peer *const three[] = { &works, &refuses, &crashes };

START_TEST(peers_are_selected_by_name)
{
    const struct bench_peer *out[3];
    ck_assert_uint_eq(bench_peers_select(three, 3, "all", out), 3);
    ck_assert_uint_eq(bench_peers_select(three, 3, "crashes,works", out), 2);
    ck_assert_ptr_eq(out[0], &works);
    ck_assert_ptr_eq(out[1], &crashes);
    ck_assert_uint_eq(bench_peers_select(three, 3, "work", out), 0);
    ck_assert_uint_eq(bench_peers_select(three, 3, "works,other", out), 0);
}
END_TEST

static int measured;

static void measure(const struct bench_experiment *experiment, const struct bench_peer *peer,
                    const struct bench_options *options, struct bench_trial *trial)
{
    (void)experiment;
    (void)options;
    if (peer == &refuses)
        bench_trial_fail(trial, "it is %d o'clock", 5);
    if (peer == &crashes)
        _exit(3);
    trial->value[0] = ++measured;
    bench_histogram_add(&trial->histogram[0], 10);
}

START_TEST(each_measurement_runs_in_a_process_of_its_own_and_fails_alone)
{
    static const struct bench_metric metric = { .name = "count", .unit = "", .compared = true };
    const struct bench_experiment experiment = { .name = "x",
                                                 .title = "x",
                                                 .metrics = &metric,
                                                 .n_metrics = 1,
                                                 .peers = three,
                                                 .n_peers = 3,
                                                 .measure = measure };
    const struct bench_options options = { .seconds = 0.01, .rounds = 3 };
    struct bench_progress progress = { 0 };
    struct bench_result result;
    bench_experiment_run(&experiment, &options, &progress, &result);

    struct bench_summary s = bench_result_value(&result, 0, 0);
    ck_assert_uint_eq(s.n, 3);
    ck_assert_double_eq(s.max, 1); /* no child saw what another had counted */
    ck_assert_int_eq(measured, 0);
    ck_assert_uint_eq(bench_result_histogram(&result, 0, 0)->count, 3); /* not the warm-up's */
    ck_assert_str_eq(result.why[0], "");
    ck_assert_str_eq(result.why[1], "it is 5 o'clock");
    ck_assert_str_eq(result.why[2], "ended with status 3");
    ck_assert_uint_eq(bench_result_value(&result, 0, 1).n, 0);
    ck_assert(bench_result_failed(&result));
    bench_result_free(&result);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench support");
    TCase *tests = tcase_create("support");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, median_and_quartiles_are_interpolated);
    tcase_add_test(tests, failed_rounds_are_left_out);
    tcase_add_test(tests, a_ratio_is_formed_round_by_round);
    tcase_add_test(tests, fairness_goes_from_one_takes_all_to_all_the_same);
    tcase_add_test(tests, a_histogram_knows_each_value_to_a_sixty_fourth);
    tcase_add_test(tests, histogram_quantiles_survive_a_merge);
    tcase_add_test(tests, thread_ranges_double_and_end_with_their_last);
    tcase_add_test(tests, durations_have_units);
    tcase_add_test(tests, pins_are_a_list_of_names);
    tcase_add_test(tests, peers_are_selected_by_name);
    tcase_add_test(tests, each_measurement_runs_in_a_process_of_its_own_and_fails_alone);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
