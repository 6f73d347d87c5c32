/* A process pool whose workers are killed at random, one every 50 ms, while tasks of all sizes
 * are submitted, and some stopped: each future ends once, with its value or with the death of
 * its worker, and no more of them die than workers were killed. Nothing is left when the pool
 * has ended.
 *
 * usage: stress_processes [TASKS]    by default few; 100000 is the full size */
#include <dirent.h>
#include <errno.h>
#include <fxthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "await.h"
#include "record.h"
#include "scale.h"

enum { TASKS = 8000, WINDOW = 600, PENDING = 400, WORKERS = 4, SEATS = 32, SEED = 20221 };

/* Shared with the workers: each notes itself at a seat, for the killer to find. */
static struct board {
    atomic_int server;
    atomic_int seats[SEATS];
} *board;

struct order {
    uint32_t number;
    uint32_t ns; /* that the task computes at least */
};

struct yield {
    uint32_t number, sum;
};

static uint32_t sum_of(const unsigned char *bytes, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}

/* What follows the order is summed; the result's end is filled, as is its beginning. */
static int work(const void *arg, size_t arg_size, void *result, size_t result_size)
{
    const struct order *order = arg;
    struct yield *yield = result;
    atomic_store(&board->server, getppid());
    atomic_store(&board->seats[getpid() % SEATS], getpid());
    for (fx_deadline end = fx_now() + order->ns; order->ns > 0 && fx_now() < end;)
        ;
    yield->sum = sum_of((const unsigned char *)arg + sizeof *order, arg_size - sizeof *order);
    ((unsigned char *)result)[result_size - 1] = 1;
    yield->number = order->number;
    return 0;
}

/* --- the killer ------------------------------------------------------------------------------- */

static atomic_bool over;
static atomic_int kills;

static pid_t parent_of(pid_t pid)
{
    char path[64], line[512];
    int parent = -1;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (end)
        sscanf(end + 1, " %*c %d", &parent);
    fclose(file);
    return parent;
}

/* The number may be another process's by now: what is killed is held by a pidfd, and looked at. */
static void kill_one(unsigned *seed)
{
    pid_t pid = atomic_load(&board->seats[rand_r(seed) % SEATS]);
    int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (fd < 0)
        return;
    if (parent_of(pid) == atomic_load(&board->server) &&
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0)
        atomic_fetch_add(&kills, 1);
    close(fd);
}

static void *kill_now_and_then(void *arg)
{
    unsigned seed = SEED + 1;
    while (!atomic_load(&over)) {
        fx_sleep(FX_MSEC(50));
        int before = atomic_load(&kills);
        for (int i = 0; i < 10 * SEATS && atomic_load(&kills) == before; i++)
            kill_one(&seed);
    }
    return arg;
}

/* --- the submitter ---------------------------------------------------------------------------- */

struct submitted {
    fx_future *future;
    uint32_t number, sum;
    bool is_stopped;
    atomic_int endings;
};

static struct submitted window[WINDOW];
static long values, deaths, stops;

static void note_ending(fx_future *future, void *arg)
{
    struct submitted *submitted = arg;
    expect(fx_future_done(future));
    atomic_fetch_add(&submitted->endings, 1);
}

static size_t random_size(unsigned *seed)
{
    static const size_t bounds[] = { 1, 64, 64, 64, 600, 5000, 70000 };
    size_t bound = bounds[(size_t)rand_r(seed) % (sizeof bounds / sizeof *bounds)];
    return (size_t)rand_r(seed) % bound;
}

static void submit_one(fx_executor *pool, struct submitted *submitted, uint32_t number,
                       unsigned *seed)
{
    static unsigned char memory[sizeof(struct order) + 70000];
    struct order *order = (struct order *)memory;
    size_t size = random_size(seed);
    *order = (struct order){ .number = number };
    if (rand_r(seed) % 8 == 0)
        order->ns = (uint32_t)rand_r(seed) % 2000000;
    for (size_t i = 0; i < size; i++)
        memory[sizeof *order + i] = (unsigned char)(number + i);
    submitted->number = number;
    submitted->sum = sum_of(memory + sizeof *order, size);
    submitted->is_stopped = false;
    atomic_store(&submitted->endings, 0);
    submitted->future = fx_submit_copy(pool, work, order, sizeof *order + size,
                                       sizeof(struct yield) + 1 + random_size(seed));
    if (!expect(submitted->future != NULL))
        return;
    expect_int(fx_future_add_done_callback(submitted->future, note_ending, submitted), ==, 0);
    if (rand_r(seed) % 500 == 0) {
        int rc = fx_future_stop(submitted->future);
        expect(rc == 0 || rc == -EALREADY);
        submitted->is_stopped = true;
    }
}

static void collect_one(struct submitted *submitted)
{
    struct yield *yield = NULL;
    int status = 0;
    if (!submitted->future)
        return;
    int rc = fx_future_result_for(submitted->future, FX_SEC(await_limit()), (void **)&yield);
    switch (rc) {
    case 0:
        expect_int(yield->number, ==, submitted->number);
        expect_int(yield->sum, ==, submitted->sum);
        expect_int(((unsigned char *)yield)[fx_future_result_size(submitted->future) - 1], ==, 1);
        values++;
        break;
    case -EOWNERDEAD:
        expect_int(fx_future_worker_status(submitted->future, &status), ==, 0);
        expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        deaths++;
        break;
    default:
        expect(submitted->is_stopped);
        expect_int(rc, ==, -ECANCELED);
        stops++;
    }
    await(atomic_load(&submitted->endings) == 1); /* the waiters are woken before */
    fx_future_unref(submitted->future);
    submitted->future = NULL;
}

static size_t count_descriptors(void)
{
    size_t n = 0;
    DIR *entries = opendir("/proc/self/fd");
    while (entries && readdir(entries))
        n++;
    if (entries)
        closedir(entries);
    return n;
}

static void run(int tasks)
{
    unsigned seed = SEED;
    fx_executor *pool = fx_process_pool_new(
        &(fx_process_pool_attr){ .max_workers = WORKERS, .max_pending = PENDING });
    if (!expect(pool != NULL))
        return;
    for (int i = 0; i < tasks && !record_failure(); i++) {
        struct submitted *submitted = &window[i % WINDOW];
        collect_one(submitted);
        submit_one(pool, submitted, (uint32_t)i, &seed);
    }
    for (int i = 0; i < WINDOW; i++)
        collect_one(&window[i]);
    expect_int(fx_executor_shutdown_for(pool, FX_SEC(await_limit()), false), ==, 0);
    fx_executor_unref(pool);
}

int main(int argc, char **argv)
{
    int tasks = argc > 1 ? atoi(argv[1]) : scaled(TASKS);
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        return EXIT_FAILURE;
    fx_executor_unref(fx_thread_pool_new(NULL));
    size_t descriptors = count_descriptors();
    fx_thread *killer = fx_thread_spawn(kill_now_and_then, NULL);
    run(tasks);
    atomic_store(&over, true);
    expect_int(fx_thread_join(killer, NULL), ==, 0);
    fx_thread_unref(killer);
    expect_int(values + deaths + stops, ==, tasks);
    expect_int(deaths, <=, atomic_load(&kills));
    expect_int(stops, <=, tasks / 100 + 20);
    expect(await_for(count_descriptors() <= descriptors, await_limit()));
    printf("%d tasks, %ld values, %ld deaths by %d kills, %ld stops\n", tasks, values, deaths,
           atomic_load(&kills), stops);
    return record_status();
}
