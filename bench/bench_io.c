/* I/O: reads of a file that is in memory, one at a time and many; reads past the cache; an echo
 * server; and sleeps. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/peers/io.h"
#include "bench/support/clock.h"
#include "bench/support/suite.h"

static const struct bench_peer *const peers[] = {
    &bench_io_pread.peer, &bench_io_uring.peer, &bench_io_epoll.peer,
    &bench_io_heap.peer,  &bench_io_tasks.peer, &bench_io_futures.peer,
};

static const struct bench_io_peer *start(const struct bench_peer *peer, struct bench_trial *trial)
{
    const struct bench_io_peer *io = (const struct bench_io_peer *)peer;
    if (io->start && !io->start())
        bench_trial_fail(trial, "it cannot be started");
    return io;
}

/* --- files ------------------------------------------------------------------------------------ */

enum { BLOCKS = 8192, BLOCKS_QUICK = 256 };

static int file_descriptor = -1;

/* Made once, for all measurements. */
static void make_file(uint32_t blocks)
{
    const char *folder = getenv("TMPDIR");
    char name[4096], block[BENCH_IO_BLOCK];
    memset(block, 'x', sizeof block);
    snprintf(name, sizeof name, "%s/fxthread-bench-XXXXXX", folder ? folder : "/tmp");
    file_descriptor = mkstemp(name);
    unlink(name);
    for (uint32_t i = 0; i < blocks && file_descriptor >= 0; i++)
        if (write(file_descriptor, block, sizeof block) != sizeof block)
            file_descriptor = -1;
    if (file_descriptor < 0) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
        exit(EXIT_FAILURE);
    }
    fdatasync(file_descriptor);
}

/* The same file by its own descriptor, past the cache; -1: the file system has no such thing. */
static int open_direct(void)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file_descriptor);
    int fd = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
    void *buf = aligned_alloc(BENCH_IO_BLOCK, BENCH_IO_BLOCK);
    if (fd >= 0 && pread(fd, buf, BENCH_IO_BLOCK, 0) != BENCH_IO_BLOCK)
        fd = -1;
    free(buf);
    return fd;
}

struct reads {
    int depth;
    bool direct;
    long n, n_quick;
};

static void measure_reads(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    const struct reads *reads = experiment->arg;
    struct bench_io_file file = { .fd = reads->direct ? open_direct() : file_descriptor,
                                  .blocks = options->quick ? BLOCKS_QUICK : BLOCKS,
                                  .depth = reads->depth,
                                  .n = options->quick ? reads->n_quick : reads->n };
    trial->value[0] = trial->value[1] = NAN;
    if (file.fd < 0)
        return;
    const struct bench_io_peer *io = start(peer, trial);
    int64_t begin = bench_now(), cpu = bench_cpu_time();
    if (!io->read(&file))
        bench_trial_fail(trial, "a read failed");
    trial->value[0] = (double)(bench_now() - begin) / (double)file.n;
    trial->value[1] = (double)(bench_cpu_time() - cpu) / (double)file.n;
}

/* --- the echo server -------------------------------------------------------------------------- */

enum { CONNECTIONS = 64 };

static void exchange(int listener, int clients[], int servers[], struct bench_trial *trial)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int one = 1;
    getsockname(listener, (struct sockaddr *)&address, &length);
    for (int i = 0; i < CONNECTIONS; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(clients[i], (struct sockaddr *)&address, length) != 0)
            bench_trial_fail(trial, "no connection: %s", strerror(errno));
        servers[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        setsockopt(clients[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(servers[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
}

static void measure_echo(const struct bench_experiment *experiment, const struct bench_peer *peer,
                         const struct bench_options *options, struct bench_trial *trial)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;
    int clients[CONNECTIONS], servers[CONNECTIONS];
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    long *messages = mmap(NULL, sizeof *messages, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)experiment;
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, CONNECTIONS) != 0 || messages == MAP_FAILED)
        bench_trial_fail(trial, "no socket: %s", strerror(errno));
    exchange(listener, clients, servers, trial);
    double seconds = options->quick ? 0.02 : options->seconds;
    int64_t begin = bench_now(), cpu = bench_cpu_time();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < CONNECTIONS; i++)
            close(servers[i]);
        bool talked = bench_io_talk(clients, CONNECTIONS, begin + (int64_t)(seconds * 1e9),
                                    messages);
        _exit(talked ? 0 : 1);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        close(clients[i]);
    const struct bench_io_peer *io = start(peer, trial);
    if (!io->serve(servers, CONNECTIONS))
        bench_trial_fail(trial, "it does not serve");
    double took = (double)(bench_now() - begin) / 1e9;
    cpu = bench_cpu_time() - cpu;
    waitpid(child, &status, 0);
    if (status != 0)
        bench_trial_fail(trial, "the client failed");
    trial->value[0] = (double)*messages / took / 1e3;
    trial->value[1] = (double)cpu / 1e3 / (double)*messages;
}

/* --- sleeps ----------------------------------------------------------------------------------- */

static void measure_sleep(const struct bench_experiment *experiment, const struct bench_peer *peer,
                          const struct bench_options *options, struct bench_trial *trial)
{
    long n = options->quick ? 1000 : 100000, ns = options->quick ? 1000000 : 1000000000;
    (void)experiment;
    const struct bench_io_peer *io = start(peer, trial);
    int64_t begin = bench_now(), cpu = bench_cpu_time(), due = 0;
    if (!io->sleep(n, ns, &due))
        bench_trial_fail(trial, "it does not sleep");
    trial->value[0] = (double)(bench_now() - due) / 1e6;
    trial->value[2] = (double)(due - begin - ns) / (double)n;
    trial->value[1] = (double)(bench_cpu_time() - cpu) / 1e6;
}

/* --- what is run ------------------------------------------------------------------------------ */

static const struct bench_metric one_metrics[] = {
    { .name = "a read", .unit = "ns", .compared = true, .goal = BENCH_GOAL("goal <= 1.00") },
    { .name = "CPU", .unit = "ns" },
};

static const struct bench_metric many_metrics[] = {
    { .name = "a read", .unit = "ns", .compared = true, .goal = BENCH_GOAL("goal <= 1.11") },
    { .name = "CPU", .unit = "ns" },
};

static const struct bench_metric direct_metrics[] = {
    { .name = "a read", .unit = "ns", .compared = true },
    { .name = "CPU", .unit = "ns", .compared = true, .goal = BENCH_GOAL("goal <= 0.50") },
};

static const struct bench_metric echo_metrics[] = {
    { .name = "messages", .unit = "k/s", .compared = true, .goal = BENCH_GOAL("goal >= 1.10") },
    { .name = "CPU each", .unit = "us" },
};

static const struct bench_metric sleep_metrics[] = {
    { .name = "late", .unit = "ms", .goal = BENCH_GOAL("goal <= 20") },
    { .name = "CPU", .unit = "ms", .goal = BENCH_GOAL("goal <= 50") },
    { .name = "to begin one", .unit = "ns" },
};

static const struct bench_peer *const one_peers[] = {
    &bench_io_pread.peer, &bench_io_uring.peer, &bench_io_tasks.peer, &bench_io_futures.peer
};
static const struct bench_peer *const many_peers[] = {
    &bench_io_uring.peer, &bench_io_pread.peer, &bench_io_tasks.peer, &bench_io_futures.peer
};
static const struct bench_peer *const echo_peers[] = { &bench_io_epoll.peer, &bench_io_tasks.peer };
static const struct bench_peer *const sleep_peers[] = {
    &bench_io_heap.peer, &bench_io_futures.peer
};

static const struct reads one_read = { .depth = 1, .n = 200000, .n_quick = 1000 };
static const struct reads many_reads = { .depth = 32, .n = 200000, .n_quick = 1000 };
static const struct reads direct_reads = { .depth = 32, .direct = true, .n = 4000, .n_quick = 100 };

static const struct bench_program program = {
    .name = "bench_io",
    .summary = "I/O of tasks",
    .seconds = 0.3,
    .rounds = 7,
    .pins = "none",
    .experiments = "one many direct echo sleep",
    .peers = peers,
    .n_peers = sizeof peers / sizeof *peers,
};

#define TABLES(its_metrics, its_peers)                                                      \
    .metrics = (its_metrics), .n_metrics = sizeof(its_metrics) / sizeof *(its_metrics),     \
    .peers = (its_peers), .n_peers = sizeof(its_peers) / sizeof *(its_peers)

static const struct bench_experiment experiments[] = {
    {
        .name = "one",
        .title = "4 KiB at random of a file in memory, one read at a time",
        TABLES(one_metrics, one_peers),
        .measure = measure_reads,
        .arg = &one_read,
    },
    {
        .name = "many",
        .title = "4 KiB at random of a file in memory, 32 reads at a time",
        TABLES(many_metrics, many_peers),
        .measure = measure_reads,
        .arg = &many_reads,
    },
    {
        .name = "direct",
        .title = "4 KiB at random past the cache (O_DIRECT), 32 reads at a time",
        TABLES(direct_metrics, one_peers),
        .measure = measure_reads,
        .arg = &direct_reads,
    },
    {
        .name = "echo",
        .title = "an echo server of 64 connections over the loopback, one thread",
        TABLES(echo_metrics, echo_peers),
        .measure = measure_echo,
    },
    {
        .name = "sleep",
        .title = "100,000 sleeps of a second: how late the last one is",
        TABLES(sleep_metrics, sleep_peers),
        .measure = measure_sleep,
    },
};

int main(int argc, char **argv)
{
    struct bench_options options;
    bench_options_parse(&program, argc, argv, &options);
    make_file(options.quick ? BLOCKS_QUICK : BLOCKS);
    return bench_suite_run(&program, experiments, sizeof experiments / sizeof *experiments,
                           &options);
}
