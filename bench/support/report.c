#include "bench/support/report.h"

#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/support/text_table.h"

/* The processor's name as the kernel knows it, without the end of its line. */
static void processor_name(char *name, size_t size)
{
    snprintf(name, size, "processor of unknown name");
    FILE *info = fopen("/proc/cpuinfo", "re");
    char line[256];
    while (info && fgets(line, sizeof line, info)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(name, size, "%s", colon + 2);
        break;
    }
    if (info)
        fclose(info);
}

void bench_report_begin(FILE *out, const struct bench_program *program,
                        const struct bench_options *options)
{
    struct utsname kernel = { .sysname = "kernel", .release = "unknown" };
    char processor[128], libc[64] = "libc unknown";
    processor_name(processor, sizeof processor);
    confstr(_CS_GNU_LIBC_VERSION, libc, sizeof libc);
    uname(&kernel);
    fprintf(out, "%s: %ld x %s, %s %s, %s\n", program->name, sysconf(_SC_NPROCESSORS_ONLN),
            processor, kernel.sysname, kernel.release, libc);
    if (options->quick) {
        fputs("A quick run shows that everything works; its figures mean nothing.\n", out);
        return;
    }
    fprintf(out,
            "Medians of %d interleaved round%s of %g s a measurement, after one to warm up; in "
            "brackets the quartiles.\n",
            options->rounds, options->rounds == 1 ? "" : "s", options->seconds);
}

/* Three significant digits without an exponent. */
static void format_number(char *text, size_t size, double value)
{
    if (isnan(value))
        snprintf(text, size, "-");
    else if (value >= 100)
        snprintf(text, size, "%.0f", value);
    else if (value >= 10)
        snprintf(text, size, "%.1f", value);
    else
        snprintf(text, size, "%.2f", value);
}

static void add_number(struct bench_text_table *table, double value)
{
    char text[32];
    format_number(text, sizeof text, value);
    bench_text_table_cell(table, "%s", text);
}

static void add_quartiles(struct bench_text_table *table, struct bench_summary s)
{
    char low[32], high[32];
    format_number(low, sizeof low, s.q1);
    format_number(high, sizeof high, s.q3);
    bench_text_table_cell(table, "[%s %s]", low, high);
}

/* The metrics from `first` on that share a table: a compared one begins a table of its own, so that
 * the tables stay narrow enough to be read. Returns the one after them. */
static size_t end_of_table(const struct bench_experiment *experiment, size_t first)
{
    size_t m = first + 1;
    while (m < experiment->n_metrics && !experiment->metrics[m].compared)
        m++;
    return m;
}

static void add_head(struct bench_text_table *table, const struct bench_experiment *experiment,
                     size_t first, size_t end)
{
    bench_text_table_cell(table, "%s", "");
    for (size_t m = first; m < end; m++) {
        const struct bench_metric *metric = &experiment->metrics[m];
        if (*metric->unit)
            bench_text_table_cell(table, "%s (%s)", metric->name, metric->unit);
        else
            bench_text_table_cell(table, "%s", metric->name);
        if (metric->compared) {
            bench_text_table_cell(table, "%s", "");
            bench_text_table_cell(table, "to %s", experiment->peers[0]->name);
            bench_text_table_cell(table, "%s", "");
        }
        if (metric->goal[experiment->pin])
            bench_text_table_cell(table, "%s", "");
    }
    bench_text_table_end_row(table);
}

static void add_peer(struct bench_text_table *table, const struct bench_result *result, size_t peer,
                     size_t first, size_t end)
{
    const struct bench_experiment *experiment = result->experiment;
    bool subject = strcmp(experiment->peers[peer]->name, BENCH_SUBJECT) == 0;
    bench_text_table_cell(table, "%s", experiment->peers[peer]->name);
    for (size_t m = first; m < end; m++) {
        const struct bench_metric *metric = &experiment->metrics[m];
        struct bench_summary value = bench_result_value(result, m, peer);
        add_number(table, value.median);
        if (metric->compared) {
            struct bench_summary ratio = bench_result_ratio(result, m, peer);
            add_quartiles(table, value);
            add_number(table, ratio.median);
            add_quartiles(table, ratio);
        }
        const char *goal = metric->goal[experiment->pin];
        if (goal)
            bench_text_table_cell(table, "%s", subject ? goal : "");
    }
    bench_text_table_end_row(table);
}

static void print_table(FILE *out, const struct bench_result *result, size_t first, size_t end)
{
    struct bench_text_table table = { 0 };
    add_head(&table, result->experiment, first, end);
    for (size_t p = 0; p < result->experiment->n_peers; p++)
        if (result->why[p][0] == '\0')
            add_peer(&table, result, p, first, end);
    bench_text_table_print(&table, out);
}

void bench_report_table(FILE *out, const struct bench_result *result)
{
    const struct bench_experiment *experiment = result->experiment;
    fprintf(out, "\n%s, %s", experiment->title, bench_pin_title(experiment->pin));
    if (experiment->threads > 0)
        fprintf(out, ", %d thread%s", experiment->threads, experiment->threads == 1 ? "" : "s");
    if (experiment->parameters)
        fprintf(out, ", %s", experiment->parameters);
    fputc('\n', out);
    for (size_t m = 0, end; m < experiment->n_metrics; m = end) {
        end = end_of_table(experiment, m);
        print_table(out, result, m, end);
    }
    for (size_t p = 0; p < experiment->n_peers; p++)
        if (result->why[p][0] != '\0')
            fprintf(out, "  %s failed: %s\n", experiment->peers[p]->name, result->why[p]);
    fflush(out);
}

void bench_report_end(FILE *out, const struct bench_peer *const *peers, size_t n)
{
    fputc('\n', out);
    for (size_t i = 0; i < n; i++)
        if (peers[i]->what)
            fprintf(out, "%s: %s\n", peers[i]->name, peers[i]->what);
}
