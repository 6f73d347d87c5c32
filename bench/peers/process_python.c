/* Python's ProcessPoolExecutor, in a Python of its own that takes orders through a pipe and
 * measures by its own clock. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/peers/process.h"

static const char program[] =
    "import sys, time\n"
    "from concurrent.futures import ProcessPoolExecutor\n"
    "def give_back(b):\n"
    "    return b\n"
    "def first_byte(b):\n"
    "    return b[0]\n"
    "bytes64 = bytes(64)\n"
    "def tasks(n):\n"
    "    for f in [pool.submit(give_back, bytes64) for i in range(n)]:\n"
    "        f.result()\n"
    "def round_trips(n):\n"
    "    for i in range(n):\n"
    "        pool.submit(give_back, bytes64).result()\n"
    "def large(n):\n"
    "    pool.submit(first_byte, argument).result()\n"
    "argument = b''\n"
    "with ProcessPoolExecutor(max_workers=int(sys.argv[1])) as pool:\n"
    "    tasks(100)\n"
    "    print(0, flush=True)\n"
    "    for line in sys.stdin:\n"
    "        name, n = line.split()\n"
    "        if name == 'large' and len(argument) != int(n):\n"
    "            argument = b'x' * int(n)\n"
    "        begin = time.perf_counter_ns()\n"
    "        globals()[name](int(n))\n"
    "        print(time.perf_counter_ns() - begin, flush=True)\n";

static FILE *orders, *answers;

static bool is_there(void)
{
    return system("python3 -c 'import concurrent.futures' >/dev/null 2>&1") == 0;
}

static int64_t answer(void)
{
    int64_t ns;
    return fscanf(answers, "%" SCNd64, &ns) == 1 ? ns : -1;
}

static bool start(int workers)
{
    int there[2], back[2];
    char number[16];
    snprintf(number, sizeof number, "%d", workers);
    if (pipe2(there, O_CLOEXEC) != 0 || pipe2(back, O_CLOEXEC) != 0)
        return false;
    pid_t child = fork();
    if (child < 0)
        return false;
    if (child == 0) {
        dup2(there[0], STDIN_FILENO);
        dup2(back[1], STDOUT_FILENO);
        execlp("python3", "python3", "-c", program, number, (char *)NULL);
        _exit(127);
    }
    close(there[0]);
    close(back[1]);
    orders = fdopen(there[1], "w");
    answers = fdopen(back[0], "r");
    return orders && answers && answer() == 0;
}

static int64_t order(const char *name, long n)
{
    if (fprintf(orders, "%s %ld\n", name, n) < 0 || fflush(orders) != 0)
        return -1;
    return answer();
}

static int64_t tasks(long n)
{
    return order("tasks", n);
}

static int64_t round_trips(long n)
{
    return order("round_trips", n);
}

static int64_t large(size_t bytes)
{
    return order("large", (long)bytes);
}

const struct bench_process_peer bench_process_python = {
    .peer = { .name = "python", .what = "concurrent.futures.ProcessPoolExecutor of python3" },
    .is_there = is_there,
    .start = start,
    .tasks = tasks,
    .round_trips = round_trips,
    .large = large,
};
