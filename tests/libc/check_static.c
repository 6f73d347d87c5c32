/* A wholly static program: threads in sequence and at once, with libc at work in them, and nothing
 * that a dynamic linker loads. What needs one (host names, modules) is left to the other tests. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "crew.h"
#include "scale.h"

static _Thread_local int zeroed[20];
static _Thread_local int initialised = 4711;
static pthread_key_t key;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static atomic_int destroyed, wanted;
static int counted;

static void count_value(void *value)
{
    atomic_fetch_add(&destroyed, value == &key);
}

static void *work(void *arg)
{
    int number = crew_number(arg);
    expect_int(errno, ==, 0);
    for (int i = 0; i < 20; i++)
        expect_int(zeroed[i], ==, 0);
    expect_int(initialised, ==, 4711);
    memset(zeroed, 0xff, sizeof zeroed);
    initialised = number;

    expect(pthread_getspecific(key) == NULL);
    expect_int(pthread_setspecific(key, &key), ==, 0);
    char *text = malloc(64);
    if (expect(text != NULL)) {
        snprintf(text, 64, "%d %.2f", number, 0.75);
        expect_int(atoi(text), ==, number);
        free(text);
    }
    for (int i = 0; i < 10; i++) {
        pthread_mutex_lock(&recursive);
        pthread_mutex_lock(&recursive);
        counted++;
        pthread_mutex_unlock(&recursive);
        pthread_mutex_unlock(&recursive);
        atomic_fetch_add(&wanted, 1);
    }
    errno = number;
    return NULL;
}

static void *print(void *arg)
{
    FILE *null = fopen("/dev/null", "w");
    if (expect(null != NULL)) {
        fprintf(null, "%d\n", crew_number(arg));
        expect_int(fclose(null), ==, 0);
    }
    return NULL;
}

static int work_in_child(void)
{
    crew_run(4, work);
    return record_status();
}

static void *fork_and_set_ids(void *arg)
{
    expect_int(child_run(work_in_child), ==, 0);
    expect_int(setgid(getgid()), ==, 0);
    return arg;
}

static void *end_late(void *arg)
{
    fx_sleep(FX_MSEC(50));
    _exit(7);
    return arg;
}

/* Of an archive a program gets what it refers to: this is what nothing in it refers to. */
static int end_before_a_thread(void)
{
    fx_thread_unref(fx_thread_spawn(end_late, NULL));
    exit(9);
}

int main(void)
{
    expect_int(pthread_key_create(&key, count_value), ==, 0);
    crew_run_in_sequence(scaled(300), work);
    crew_run(32, work);
    expect_int(atomic_load(&destroyed), ==, scaled(300) + 32);
    expect_int(counted, ==, atomic_load(&wanted));
    crew_run(8, print);
    crew_run(1, fork_and_set_ids);
    expect_int(child_run(end_before_a_thread), ==, 7);
    return record_status();
}
