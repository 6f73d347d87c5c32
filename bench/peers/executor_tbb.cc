#include <semaphore.h>

#include <chrono>
#include <thread>
#include <vector>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include "bench/peers/executor.h"

namespace {

oneapi::tbb::global_control *limit;
oneapi::tbb::task_group *group;

/* The thread that waits works, too. */
bool start(int workers)
{
    limit = new oneapi::tbb::global_control(oneapi::tbb::global_control::max_allowed_parallelism,
                                            static_cast<size_t>(workers) + 1);
    group = new oneapi::tbb::task_group;
    return true;
}

bool run_empty(long n)
{
    for (long i = 0; i < n; i++)
        group->run([] {});
    group->wait();
    return true;
}

bool round_trip()
{
    return run_empty(1);
}

bool sleep_all(long n, long ns)
{
    std::vector<std::thread> threads;
    for (long i = 0; i < n; i++)
        threads.emplace_back([ns] { std::this_thread::sleep_for(std::chrono::nanoseconds(ns)); });
    for (auto &thread : threads)
        thread.join();
    return true;
}

bool hand_over(long n)
{
    sem_t here, there;
    sem_init(&here, 0, 1);
    sem_init(&there, 0, 0);
    std::thread other([&, n] {
        for (long i = 0; i < n; i++) {
            sem_wait(&there);
            sem_post(&here);
        }
    });
    for (long i = 0; i < n; i++) {
        sem_wait(&here);
        sem_post(&there);
    }
    other.join();
    return true;
}

} // namespace

const struct bench_executor_peer bench_executor_tbb = {
    { "tbb", "oneTBB's task_group; sleeps: a std::thread each" },
    start, run_empty, round_trip, sleep_all, hand_over,
};
