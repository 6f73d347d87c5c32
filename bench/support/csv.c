#include "bench/support/csv.h"

#include <errno.h>
#include <math.h>
#include <string.h>

FILE *bench_csv_open(const char *path)
{
    FILE *csv = fopen(path, "we");
    if (!csv) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return NULL;
    }
    fputs("benchmark,experiment,pin,threads,parameters,peer,metric,unit,rounds,"
          "median,q1,q3,min,max,baseline,ratio,ratio_q1,ratio_q3,ratio_min,ratio_max\n",
          csv);
    return csv;
}

/* Quoted where it holds what CSV gives a meaning to. */
static void put_text(FILE *csv, const char *text)
{
    if (!text[strcspn(text, ",\"\n")]) {
        fprintf(csv, "%s,", text);
        return;
    }
    fputc('"', csv);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', csv);
        fputc(*text, csv);
    }
    fputs("\",", csv);
}

static void put_number(FILE *csv, double value, char after)
{
    if (!isnan(value))
        fprintf(csv, "%.6g", value);
    fputc(after, csv);
}

static void put_summary(FILE *csv, struct bench_summary s, char after)
{
    put_number(csv, s.median, ',');
    put_number(csv, s.q1, ',');
    put_number(csv, s.q3, ',');
    put_number(csv, s.min, ',');
    put_number(csv, s.max, after);
}

void bench_csv_write(FILE *csv, const struct bench_program *program,
                     const struct bench_result *result)
{
    const struct bench_experiment *experiment = result->experiment;
    for (size_t p = 0; p < experiment->n_peers; p++)
        for (size_t m = 0; m < experiment->n_metrics; m++) {
            struct bench_summary value = bench_result_value(result, m, p);
            put_text(csv, program->name);
            put_text(csv, experiment->name);
            put_text(csv, bench_pin_name(experiment->pin));
            fprintf(csv, "%d,", experiment->threads);
            put_text(csv, experiment->parameters ? experiment->parameters : "");
            put_text(csv, experiment->peers[p]->name);
            put_text(csv, experiment->metrics[m].name);
            put_text(csv, experiment->metrics[m].unit);
            fprintf(csv, "%zu,", value.n);
            put_summary(csv, value, ',');
            put_text(csv, experiment->peers[0]->name);
            put_summary(csv, bench_result_ratio(result, m, p), '\n');
        }
}

bool bench_csv_close(FILE *csv, const char *path)
{
    bool written = !ferror(csv);
    if (fclose(csv) == 0 && written)
        return true;
    fprintf(stderr, "%s: could not be written\n", path);
    return false;
}
