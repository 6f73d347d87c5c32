#include "bench/support/plot.h"

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERIES_MAX = 32, PANEL_WIDTH = 800, PANEL_HEIGHT = 400, LABEL_MAX = 200, COLUMNS = 2 };

extern char **environ;

/* gnuplot's script comes in two parts: the panels are written while they are described, and what
 * stands before them has to know how many they are. */
struct bench_plot {
    const char *path;
    FILE *body;
    char *text;
    size_t length;
    size_t panels;
    enum bench_plot_kind kind;
    size_t n_series;
    size_t points; /* of the present panel, that can be drawn */ /* of the present panel */
    char series[SERIES_MAX][LABEL_MAX];
};

/* In single quotes gnuplot takes everything literally but the quote itself, which is doubled. */
static void put_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputc('\'', out);
        fputc(*text, out);
    }
    fputc('\'', out);
}

struct bench_plot *bench_plot_open(const char *path)
{
    struct bench_plot *plot = calloc(1, sizeof *plot);
    if (!plot)
        return NULL;
    plot->path = path;
    plot->body = open_memstream(&plot->text, &plot->length);
    if (plot->body)
        return plot;
    free(plot);
    return NULL;
}

/* Ends the data of the present series. */
static void end_series(struct bench_plot *plot)
{
    if (plot->n_series > 0)
        fputs("END\n", plot->body);
}

/* Draws the present panel, all of whose series are known by now. */
static void end_panel(struct bench_plot *plot)
{
    static const char *const how[] = {
        [BENCH_PLOT_LINES] = "using 1:2 with linespoints pointsize 0.7",
        [BENCH_PLOT_BARS] = "using 2:3:4:xtic(1)",
        [BENCH_PLOT_DISTRIBUTION] = "using 1:2 with lines",
    };
    end_series(plot);
    if (plot->points == 0) /* gnuplot refuses to draw nothing; this line is out of sight */
        fputs("plot [1:10] [1:10] 20 title 'too few samples'", plot->body);
    for (size_t i = 0; plot->points > 0 && i < plot->n_series; i++) {
        fprintf(plot->body, "%s$data%zu %s linetype %zu linewidth 2 title ", i ? ", " : "plot ", i,
                how[plot->kind], i + 1);
        put_quoted(plot->body, plot->series[i]);
    }
    fputc('\n', plot->body);
    plot->n_series = plot->points = 0;
}

void bench_plot_panel(struct bench_plot *plot, enum bench_plot_kind kind, const char *title,
                      const char *x_label, const char *y_label)
{
    static const char *const scales[] = {
        [BENCH_PLOT_LINES] = "unset logscale\nset logscale x 2\nset format x '%g'\n"
                             "set format y '%g'\nset yrange [0:*]\n",
        [BENCH_PLOT_BARS] = "unset logscale\nset format y '%g'\nset yrange [0:*]\n"
                            "set style data histogram\n"
                            "set style histogram errorbars gap 1 linewidth 2\n"
                            "set style fill solid 0.7 border -1\nset boxwidth 0.9\n",
        [BENCH_PLOT_DISTRIBUTION] = "unset logscale\nset logscale xy\nset format x '%g'\n"
                                    "set format y '%g'\nset yrange [*:1]\n",
    };
    if (plot->panels++ > 0)
        end_panel(plot);
    plot->kind = kind;
    fputs("reset\nset key outside right top\nset grid\n", plot->body);
    fputs(scales[kind], plot->body);
    fputs("set title ", plot->body);
    put_quoted(plot->body, title);
    fputs("\nset xlabel ", plot->body);
    put_quoted(plot->body, x_label);
    fputs("\nset ylabel ", plot->body);
    put_quoted(plot->body, y_label);
    fputc('\n', plot->body);
}

void bench_plot_series(struct bench_plot *plot, const char *name)
{
    if (plot->n_series == SERIES_MAX)
        return;
    end_series(plot);
    snprintf(plot->series[plot->n_series], LABEL_MAX, "%s", name);
    fprintf(plot->body, "$data%zu << END\n", plot->n_series++);
}

void bench_plot_point(struct bench_plot *plot, double x, double y)
{
    if (isnan(x) || isnan(y))
        return;
    fprintf(plot->body, "%.6g %.6g\n", x, y);
    plot->points += x > 0 && (y > 0 || plot->kind != BENCH_PLOT_DISTRIBUTION); /* on its scale */
}

void bench_plot_bar(struct bench_plot *plot, const char *label, struct bench_summary value)
{
    fputs("\"", plot->body);
    fputs(label, plot->body);
    if (isnan(value.median))
        fputs("\" NaN NaN NaN\n", plot->body);
    else
        fprintf(plot->body, "\" %.6g %.6g %.6g\n", value.median, value.q1, value.q3);
    plot->points += !isnan(value.median);
}

/* Colours that differ also to those who do not tell red from green. */
static void put_head(FILE *script, const struct bench_plot *plot)
{
    static const char *const colour[] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                          "#e69f00", "#56b4e9", "#000000", "#f0e442" };
    size_t columns = plot->panels < COLUMNS ? plot->panels : COLUMNS;
    size_t rows = (plot->panels + columns - 1) / columns;
    fprintf(script, "set terminal svg size %zu,%zu noenhanced font 'sans,13' background 'white'\n",
            PANEL_WIDTH * columns, PANEL_HEIGHT * rows);
    for (size_t i = 0; i < sizeof colour / sizeof *colour; i++)
        fprintf(script, "set linetype %zu linecolor rgb '%s' pointtype %zu\n", i + 1, colour[i],
                i + 4);
    fputs("set output ", script);
    put_quoted(script, plot->path);
    fprintf(script, "\nset multiplot layout %zu,%zu\n", rows, columns);
}

/* Runs gnuplot with the script as its standard input. */
static bool run_gnuplot(FILE *script)
{
    char name[] = "gnuplot";
    char *const argv[] = { name, NULL };
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    pid_t child;
    int status = 0, rc = posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
    if (rc == 0)
        rc = posix_spawnp(&child, "gnuplot", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc == ENOENT) {
        fputs("no plot: gnuplot is not installed\n", stderr);
        return true;
    }
    if (rc != 0) {
        fprintf(stderr, "no plot: gnuplot: %s\n", strerror(rc));
        return false;
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    if (status != 0)
        fputs("no plot: gnuplot failed\n", stderr);
    return status == 0;
}

bool bench_plot_close(struct bench_plot *plot)
{
    bool drawn = false;
    if (plot->panels > 0)
        end_panel(plot);
    FILE *script = tmpfile();
    if (fclose(plot->body) == 0 && script && plot->panels > 0) {
        put_head(script, plot);
        fwrite(plot->text, 1, plot->length, script);
        fputs("unset multiplot\n", script);
        if (fflush(script) == 0 && !ferror(script)) {
            rewind(script);
            drawn = run_gnuplot(script);
        }
    }
    if (script)
        fclose(script);
    free(plot->text);
    free(plot);
    return drawn;
}

void bench_plot_metric(struct bench_plot *plot, const struct bench_result *results, size_t n,
                       size_t metric)
{
    char title[LABEL_MAX], y_label[LABEL_MAX];
    const struct bench_experiment *first = results[0].experiment;
    snprintf(title, sizeof title, "%s: %s", first->title, first->metrics[metric].name);
    snprintf(y_label, sizeof y_label, "median and quartiles [%s]", first->metrics[metric].unit);
    bench_plot_panel(plot, BENCH_PLOT_BARS, title, "", y_label);
    for (size_t r = 0; r < n; r++) {
        bench_plot_series(plot, bench_pin_title(results[r].experiment->pin));
        for (size_t p = 0; p < first->n_peers; p++)
            bench_plot_bar(plot, first->peers[p]->name,
                           bench_result_value(&results[r], metric, p));
    }
}

void bench_plot_scaling(struct bench_plot *plot, const struct bench_result *results, size_t n,
                        size_t metric)
{
    char title[LABEL_MAX], y_label[LABEL_MAX];
    const struct bench_experiment *first = results[0].experiment;
    snprintf(title, sizeof title, "%s, %s%s%s", first->title, bench_pin_title(first->pin),
             first->parameters ? ", " : "", first->parameters ? first->parameters : "");
    snprintf(y_label, sizeof y_label, "%s [%s]", first->metrics[metric].name,
             first->metrics[metric].unit);
    bench_plot_panel(plot, BENCH_PLOT_LINES, title, "threads", y_label);
    for (size_t p = 0; p < first->n_peers; p++) {
        bench_plot_series(plot, first->peers[p]->name);
        for (size_t r = 0; r < n; r++)
            bench_plot_point(plot, results[r].experiment->threads,
                             bench_result_value(&results[r], metric, p).median);
    }
}

void bench_plot_latency(struct bench_plot *plot, const struct bench_result *result, size_t which)
{
    char title[LABEL_MAX];
    const struct bench_experiment *experiment = result->experiment;
    snprintf(title, sizeof title, "%s: %s, %s", experiment->title, experiment->histogram[which],
             bench_pin_title(experiment->pin));
    bench_plot_panel(plot, BENCH_PLOT_DISTRIBUTION, title, "time [us]",
                     "share that took longer");
    for (size_t p = 0; p < experiment->n_peers; p++) {
        const struct bench_histogram *h = bench_result_histogram(result, p, which);
        bench_plot_series(plot, experiment->peers[p]->name);
        uint64_t longer = h->count;
        for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS && longer > 0; i++) {
            if (h->bucket[i] == 0)
                continue;
            longer -= h->bucket[i];
            if (longer > 0)
                bench_plot_point(plot, bench_histogram_value(i) / 1e3,
                                 (double)longer / (double)h->count);
        }
    }
}
