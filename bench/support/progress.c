#include "bench/support/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void bench_progress_begin(struct bench_progress *progress, bool always)
{
    bool terminal = isatty(STDERR_FILENO);
    *progress = (struct bench_progress){
        .percent = -1, .shown = terminal || always, .terminal = terminal
    };
}

void bench_progress_step(struct bench_progress *progress, const char *format, ...)
{
    int percent = progress->total ? (int)(100 * progress->done / progress->total) : 0;
    progress->done++;
    if (!progress->shown || (!progress->terminal && percent == progress->percent))
        return;
    progress->percent = percent;

    char what[160];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    /* A carriage return and "erase to the end of the line" keep a terminal to one line. */
    if (progress->terminal)
        fprintf(stderr, "\r%3d%% %.70s\033[K", percent, what);
    else
        fprintf(stderr, "%3d%% %s\n", percent, what);
}

void bench_progress_clear(struct bench_progress *progress)
{
    if (progress->shown && progress->terminal)
        fputs("\r\033[K", stderr);
}
