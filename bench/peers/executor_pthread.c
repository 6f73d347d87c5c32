/* The pool that a program writes for itself: a list under a mutex, and a condition that workers wait
 * at. Where a task waits its thread does: what sleeps side by side is a thread each. */
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "bench/peers/executor.h"

struct task {
    struct task *next;
    void *(*fn)(void *);
    void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t something = PTHREAD_COND_INITIALIZER, nothing = PTHREAD_COND_INITIALIZER;
static struct task *first, *last;
static long undone;

static void *work(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!first)
            pthread_cond_wait(&something, &lock);
        struct task *task = first;
        first = task->next;
        pthread_mutex_unlock(&lock);
        task->fn(task->arg);
        free(task);
        pthread_mutex_lock(&lock);
        if (--undone == 0)
            pthread_cond_signal(&nothing);
    }
    return NULL;
}

static bool start(int workers)
{
    for (int i = 0; i < workers; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return false;
        pthread_detach(thread);
    }
    return true;
}

static bool submit(void *(*fn)(void *), void *arg)
{
    struct task *task = malloc(sizeof *task);
    if (!task)
        return false;
    *task = (struct task){ .fn = fn, .arg = arg };
    pthread_mutex_lock(&lock);
    if (first)
        last->next = task;
    else
        first = task;
    last = task;
    undone++;
    pthread_mutex_unlock(&lock);
    pthread_cond_signal(&something);
    return true;
}

static void await_all(void)
{
    pthread_mutex_lock(&lock);
    while (undone > 0)
        pthread_cond_wait(&nothing, &lock);
    pthread_mutex_unlock(&lock);
}

static void *empty(void *arg)
{
    return arg;
}

static bool run_empty(long n)
{
    for (long i = 0; i < n; i++)
        if (!submit(empty, NULL))
            return false;
    await_all();
    return true;
}

static bool round_trip(void)
{
    return run_empty(1);
}

static void *sleep_so_long(void *arg)
{
    long ns = *(long *)arg;
    struct timespec time = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
    nanosleep(&time, NULL);
    return NULL;
}

static bool sleep_all(long n, long ns)
{
    pthread_attr_t attr;
    pthread_t *threads = calloc((size_t)n, sizeof *threads);
    bool all = threads && pthread_attr_init(&attr) == 0 &&
               pthread_attr_setstacksize(&attr, (size_t)256 << 10) == 0;
    long started = 0;
    while (all && started < n)
        if (pthread_create(&threads[started], &attr, sleep_so_long, &ns) == 0)
            started++;
        else
            all = false;
    while (started > 0)
        pthread_join(threads[--started], NULL);
    free(threads);
    return all;
}

static sem_t here, there;

static void *hand_back(void *arg)
{
    for (long i = 0; i < *(long *)arg; i++) {
        sem_wait(&there);
        sem_post(&here);
    }
    return NULL;
}

static bool hand_over(long n)
{
    pthread_t thread;
    sem_init(&here, 0, 1);
    sem_init(&there, 0, 0);
    if (pthread_create(&thread, NULL, hand_back, &n) != 0)
        return false;
    for (long i = 0; i < n; i++) {
        sem_wait(&here);
        sem_post(&there);
    }
    return pthread_join(thread, NULL) == 0;
}

const struct bench_executor_peer bench_executor_pthread = {
    .peer = { .name = "pthread", .what = "a list, a mutex and a condition; sleeps: a thread each" },
    .start = start,
    .run_empty = run_empty,
    .round_trip = round_trip,
    .sleep = sleep_all,
    .hand_over = hand_over,
};
