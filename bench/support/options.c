#include "bench/support/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARED_MAX = 16 };

#define QUICK_SECONDS 0.1

bool bench_parse_text(const char *text, void *to)
{
    *(const char **)to = text;
    return *text != '\0';
}

bool bench_parse_count(const char *text, void *to)
{
    char *end;
    long n = strtol(text, &end, 10);
    *(int *)to = (int)n;
    return end != text && *end == '\0' && n >= 1 && n <= 100000000;
}

bool bench_parse_seconds(const char *text, void *to)
{
    char *end;
    double s = strtod(text, &end);
    *(double *)to = s;
    return end != text && *end == '\0' && s > 0 && s <= 3600;
}

bool bench_parse_duration(const char *text, void *to)
{
    static const struct {
        const char *name;
        double ns;
    } unit[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 } };
    char *end;
    double n = strtod(text, &end);
    if (end == text || !(n >= 0))
        return false;
    if (n == 0 && *end == '\0') {
        *(int64_t *)to = 0;
        return true;
    }
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
        if (strcmp(end, unit[i].name) == 0 && n * unit[i].ns <= 3600e9) {
            *(int64_t *)to = (int64_t)(n * unit[i].ns);
            return true;
        }
    return false;
}

static bool add_count(struct bench_threads *threads, long count)
{
    if (count < 1 || count > 4096 || threads->n == BENCH_THREADS_MAX)
        return false;
    threads->count[threads->n++] = (int)count;
    return true;
}

bool bench_parse_threads(const char *text, void *to)
{
    struct bench_threads *threads = to;
    threads->n = 0;
    for (;;) {
        char *end;
        long first = strtol(text, &end, 10), last = first;
        if (end == text)
            return false;
        if (*end == '-') {
            text = end + 1;
            last = strtol(text, &end, 10);
            if (end == text || last < first)
                return false;
        }
        for (long n = first; n < last; n *= 2)
            if (!add_count(threads, n))
                return false;
        if (!add_count(threads, last))
            return false;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        text = end + 1;
    }
}

bool bench_parse_pins(const char *text, void *to)
{
    struct bench_pins *pins = to;
    pins->n = 0;
    for (;;) {
        size_t length = strcspn(text, ",");
        enum bench_pin pin = BENCH_PIN_NONE;
        while (strlen(bench_pin_name(pin)) != length ||
               memcmp(text, bench_pin_name(pin), length) != 0)
            if (pin++ == BENCH_PIN_BOTH)
                return false;
        if (pins->n == BENCH_PINS_MAX)
            return false;
        pins->pin[pins->n++] = pin;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

/* The options that every benchmark has, pointed at `options`. Returns how many. */
static size_t shared_options(const struct bench_program *program, struct bench_options *options,
                             struct bench_option *table)
{
    size_t n = 0;
    table[n++] = (struct bench_option){ "seconds", "S", "length of one measurement",
                                        bench_parse_seconds, &options->seconds };
    table[n++] = (struct bench_option){ "rounds", "N", "measurements of each, after the warm-up",
                                        bench_parse_count, &options->rounds };
    if (program->threads)
        table[n++] = (struct bench_option){ "threads", "LIST",
                                            "thread counts: 1,2,4, or 1-16 for 1, 2, 4, 8, 16",
                                            bench_parse_threads, &options->threads };
    table[n++] = (struct bench_option){ "peer", "LIST", "all, or names separated by commas",
                                        bench_parse_text, &options->peers };
    table[n++] = (struct bench_option){ "only", "NAME", "run one experiment alone",
                                        bench_parse_text, &options->only };
    table[n++] = (struct bench_option){ "pin", "LIST",
                                        "none (the scheduler places the threads), one (core), "
                                        "both (two cores in turn)",
                                        bench_parse_pins, &options->pins };
    table[n++] = (struct bench_option){ "csv", "FILE", "write the tables as CSV as well",
                                        bench_parse_text, &options->csv };
    table[n++] = (struct bench_option){ "plot", "FILE.svg", "draw them, with gnuplot",
                                        bench_parse_text, &options->plot };
    table[n++] = (struct bench_option){ "quick", NULL, "a tenth of a second, to see that it runs",
                                        NULL, &options->quick };
    table[n++] = (struct bench_option){ "progress", NULL,
                                        "say what is running, even if stderr is no terminal", NULL,
                                        &options->progress };
    return n;
}

static void print_options(const struct bench_option *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("  --%-10s %-9s %s\n", table[i].name, table[i].argument ? table[i].argument : "",
               table[i].help);
}

static _Noreturn void help(const struct bench_program *program, const struct bench_option *table,
                           size_t n)
{
    printf("%s: %s\n\n", program->name, program->summary);
    print_options(program->own, program->n_own);
    print_options(table, n);
    printf("\ndefaults: --seconds %g --rounds %d%s%s --pin %s\npeers:", program->seconds,
           program->rounds, program->threads ? " --threads " : "",
           program->threads ? program->threads : "", program->pins);
    for (size_t i = 0; i < program->n_peers; i++)
        printf(" %s", program->peers[i]->name);
    printf(" (ratios are to the first)\nexperiments: %s\n", program->experiments);
    exit(EXIT_SUCCESS);
}

static const struct bench_option *find(const struct bench_option *table, size_t n, const char *name,
                                       size_t length)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
            return &table[i];
    return NULL;
}

static _Noreturn void refuse(const char *argument, const char *why)
{
    fprintf(stderr, "%s: %s; --help lists the options\n", argument, why);
    exit(2);
}

/* Applies argv[at] and, where it takes one as a word of its own, its argument. Returns the place of
 * the next option. */
static int apply(const struct bench_option *option, char **argv, int at, const char *value)
{
    if (!option->argument) {
        if (value)
            refuse(argv[at], "takes no argument");
        *(bool *)option->to = true;
        return at + 1;
    }
    const char *text = value ? value : argv[at + 1];
    if (!text)
        refuse(argv[at], "its argument is missing");
    if (!option->parse(text, option->to))
        refuse(text, "cannot be understood");
    return at + (value ? 1 : 2);
}

void bench_options_parse(const struct bench_program *program, int argc, char **argv,
                         struct bench_options *options)
{
    struct bench_option shared[SHARED_MAX];
    *options = (struct bench_options){
        .seconds = program->seconds, .rounds = program->rounds, .peers = "all", .only = "all"
    };
    if (program->threads)
        bench_parse_threads(program->threads, &options->threads);
    bench_parse_pins(program->pins, &options->pins);
    size_t n = shared_options(program, options, shared);

    for (int at = 1; at < argc;) {
        const char *name = argv[at];
        if (strncmp(name, "--", 2) != 0)
            refuse(name, "is no option");
        name += 2;
        size_t length = strcspn(name, "=");
        const char *value = name[length] ? name + length + 1 : NULL;
        if (strcmp(name, "help") == 0)
            help(program, shared, n);
        const struct bench_option *option = find(program->own, program->n_own, name, length);
        if (!option)
            option = find(shared, n, name, length);
        if (!option)
            refuse(argv[at], "is no option");
        at = apply(option, argv, at, value);
    }
    const char *limit = getenv("FX_BENCH_SECONDS");
    if (limit && !bench_parse_seconds(limit, &options->budget))
        refuse(limit, "is no number of seconds for FX_BENCH_SECONDS");
    if (limit)
        options->quick = true;
    else if (options->quick)
        options->budget = QUICK_SECONDS;
    if (options->quick)
        options->rounds = 1;
}
