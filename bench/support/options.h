/* The command line that all benchmarks share, and what a benchmark adds to it. */
#ifndef BENCH_SUPPORT_OPTIONS_H
#define BENCH_SUPPORT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/support/peer.h"
#include "bench/support/pin.h"

enum { BENCH_THREADS_MAX = 64, BENCH_PINS_MAX = 3 };

struct bench_threads {
    size_t n;
    int count[BENCH_THREADS_MAX];
};

struct bench_pins {
    size_t n;
    enum bench_pin pin[BENCH_PINS_MAX];
};

struct bench_options {
    double seconds; /* of one measurement */
    int rounds;     /* that are counted; the warm-up comes before them */
    struct bench_threads threads;
    struct bench_pins pins;
    const char *peers; /* "all" or names separated by commas */
    const char *only;  /* "all" or the name of an experiment */
    const char *csv;   /* NULL: none */
    const char *plot;  /* NULL: none */
    bool quick;        /* one round, and sizes cut down: shows that all works and no more */
    double budget;     /* of a quick run: seconds for all its measurements together */
    bool progress;     /* even where stderr is no terminal */
};

/* An option: `parse` reads its argument into `to` and says whether that was one. Where `argument`
 * is NULL the option takes none, and `to` is a bool that it sets. */
struct bench_option {
    const char *name; /* without the two dashes */
    const char *argument;
    const char *help;
    bool (*parse)(const char *text, void *to);
    void *to;
};

/* What a benchmark says of itself. */
struct bench_program {
    const char *name;
    const char *summary;        /* one line for --help */
    double seconds;             /* defaults */
    int rounds;                 /* */
    const char *threads;        /* NULL: it has no --threads */
    const char *pins;           /* as --pin takes them */
    const struct bench_option *own; /* what it adds, or NULL */
    size_t n_own;
    const char *experiments; /* their names, for --help */
    const struct bench_peer *const *peers; /* the baseline first */
    size_t n_peers;
};

/* Fills in `options` from the command line. --help prints and ends the program, and what is wrong
 * ends it with a line on stderr and status 2. FX_BENCH_SECONDS in the environment makes it a quick
 * run of that many seconds. */
void bench_options_parse(const struct bench_program *program, int argc, char **argv,
                         struct bench_options *options);

/* What `to` has to point at: bool (*)(text, to). */
bool bench_parse_count(const char *text, void *to);    /* int: 1 or more */
bool bench_parse_seconds(const char *text, void *to);  /* double: above 0 */
bool bench_parse_duration(const char *text, void *to); /* int64_t ns: 0, 50ns, 1.5us, 2ms, 1s */
bool bench_parse_text(const char *text, void *to);     /* const char * */
/* struct bench_threads: numbers and ranges separated by commas. 2-16 is 2, 4, 8 and 16: a range
 * doubles from its first number on, and ends with its last. */
bool bench_parse_threads(const char *text, void *to);
/* struct bench_pins: none, one, both, separated by commas; each is measured in turn. */
bool bench_parse_pins(const char *text, void *to);

#endif
