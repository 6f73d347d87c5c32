/* What the kernel tells of this process: its tasks, their names, its mappings. */
#ifndef TESTS_THREAD_PROC_H
#define TESTS_THREAD_PROC_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline pid_t kernel_tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* How many tasks the process has now. */
static inline size_t task_count(void)
{
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        return 0;
    for (struct dirent *entry; (entry = readdir(tasks));)
        count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

/* The kernel's name of a task of this process, "" if there is no such task. */
static inline void task_comm(pid_t tid, char comm[32])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
    comm[0] = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (!fgets(comm, 32, file))
        comm[0] = '\0';
    comm[strcspn(comm, "\n")] = '\0';
    fclose(file);
}

static inline int task_comm_is(pid_t tid, const char *wanted)
{
    char comm[32];
    task_comm(tid, comm);
    return strcmp(comm, wanted) == 0;
}

/* How many mappings the process has now. */
static inline size_t mapping_count(void)
{
    size_t lines = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return 0;
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

/* A value of /proc/self/status in kB, such as "VmSize" or "VmRSS"; 0 if there is none. */
static inline size_t status_kib(const char *key)
{
    char line[256];
    size_t value = 0, length = strlen(key);
    FILE *status = fopen("/proc/self/status", "re");
    if (!status)
        return 0;
    while (fgets(line, sizeof line, status))
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            sscanf(line + length + 1, "%zu", &value);
    fclose(status);
    return value;
}

#endif
