/* Processes as the tests of process pools see them: through /proc, whoever's children they are. */
#ifndef TESTS_EXECUTOR_PROCESSES_H
#define TESTS_EXECUTOR_PROCESSES_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "kinds.h"

/* Of /proc/PID/stat: 'R', 'S', 'T' (stopped), 'Z' (a zombie) ...; 0: there is no such process. */
static inline char state_of(pid_t pid)
{
    char path[64], line[512], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (end)
        state = end[2];
    fclose(file);
    return state;
}

/* It runs nothing any more. Whether it is reaped is its parent's affair. */
static inline bool has_ended(pid_t pid)
{
    char state = state_of(pid);
    return state == 0 || state == 'Z' || state == 'X';
}

static inline size_t count_in(const char *folder)
{
    size_t n = 0;
    DIR *entries = opendir(folder);
    while (entries && readdir(entries))
        n++;
    if (entries)
        closedir(entries);
    return n;
}

static inline size_t descriptor_count(void)
{
    return count_in("/proc/self/fd");
}

/* Mappings of this process whose line has `text` in it. */
static inline size_t mappings_with(const char *text)
{
    size_t n = 0;
    char line[600];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        n += strstr(line, text) != NULL;
    if (maps)
        fclose(maps);
    return n;
}

static inline fx_executor *processes(size_t workers)
{
    return pool_of_kind(PROCESS_POOL, workers);
}

/* The worker and its parent, the fork server. */
struct family {
    pid_t worker, server;
};

TASK(tell_family)
{
    UNUSED_TASK_ARGUMENTS();
    *(struct family *)result = (struct family){ getpid(), getppid() };
    return 0;
}

static inline struct family family_of(fx_executor *pool)
{
    struct family family = { 0, 0 };
    fx_future *future = submit_copy(pool, tell_family, NULL, 0, sizeof family);
    ck_assert_int_ne(fx_future_result_for(future, FX_SEC(await_limit()), NULL), -ETIMEDOUT);
    ck_assert_int_eq(fx_future_result_copy(future, &family, sizeof family), 0);
    fx_future_unref(future);
    return family;
}

/* Notes its process at board->pids[0], with its parent behind, and then computes without an end. */
TASK(compute_for_ever)
{
    UNUSED_TASK_ARGUMENTS();
    atomic_store(&board->pids[0], getpid());
    atomic_store(&board->pids[1], getppid());
    atomic_fetch_add(&board->begun, 1);
    for (volatile unsigned n = 0;; n++)
        ;
    return 0;
}

/* Notes its process and the parent at the places behind those, in the order of coming. */
TASK(note_family_and_wait)
{
    int place = 2 + atomic_fetch_add(&board->n_pids, 2);
    atomic_store(&board->pids[place], getpid());
    atomic_store(&board->pids[place + 1], getppid());
    return wait_until_told(arg, arg_size, result, result_size);
}

#endif
