/* Child processes of a test: what they print is kept, their end is awaited within a limit.
 *
 *     struct child child;
 *     child_fork(&child, raise_in_main, NULL);       // runs a function in a forked child
 *     child_exec(&child, run_case, "main_returns");  // runs: this program --case main_returns
 *     assert_child_exits(&child, 3);
 */
#ifndef TESTS_THREAD_CAPTURED_H
#define TESTS_THREAD_CAPTURED_H

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/child.h"

#ifdef FXI_ASAN
/* A forked child has lost the stacks of its parent's other threads, and one that left main has lost
 * main's: what was reachable from there alone has not leaked. */
static bool leaks_do_not_count;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return leaks_do_not_count;
}
#define EXPECT_LOST_STACKS() (leaks_do_not_count = true)
#else
#define EXPECT_LOST_STACKS() ((void)0)
#endif

/* ThreadSanitizer keeps a thread of its own, with which a process lives on that main has left. */
#ifdef FXI_TSAN
#define MAIN_CAN_LEAVE false
#else
#define MAIN_CAN_LEAVE true
#endif

struct child {
    int status; /* as child_wait() tells it: killed by SIGKILL if it hung */
    char out[4096];
    char err[4096];
};

static inline void child_keep(int fd, char *text, size_t size)
{
    ssize_t got = pread(fd, text, size - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    close(fd);
}

/* Appending: else the kernel does not keep the threads apart that write to one such file. */
static inline int child_output(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_APPEND), 0);
    return fd;
}

/* Runs body(arg) and then exit(EXIT_SUCCESS) in a forked child. */
static inline void child_fork(struct child *child, void (*body)(void *), void *arg)
{
    int out = child_output("stdout"), err = child_output("stderr");
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        EXPECT_LOST_STACKS();
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        body(arg);
        exit(EXIT_SUCCESS);
    }
    child->status = child_wait(pid);
    child_keep(out, child->out, sizeof child->out);
    child_keep(err, child->err, sizeof child->err);
}

struct child_case {
    int (*run)(const char *name);
    const char *name;
};

static inline void child_exec_body(void *arg)
{
    struct child_case *it = arg;
    execl("/proc/self/exe", "test", "--case", it->name, (char *)NULL);
    /* An emulator of another processor runs this program, but the kernel cannot. */
    exit(it->run(it->name));
}

/* Runs this program anew with the arguments --case NAME; main() is to return run(NAME) then. */
static inline void child_exec(struct child *child, int (*run)(const char *), const char *name)
{
    child_fork(child, child_exec_body, &(struct child_case){run, name});
}

#define assert_child_exits(child, code)                                                         \
    do {                                                                                        \
        ck_assert_msg(WIFEXITED((child)->status),                                               \
                      "the child was killed by signal %d (9: it hung); stderr: %s",             \
                      WTERMSIG((child)->status), (child)->err);                                 \
        ck_assert_msg(WEXITSTATUS((child)->status) == (code),                                   \
                      "the child exited with %d, not with %d; stderr: %s",                      \
                      WEXITSTATUS((child)->status), (code), (child)->err);                      \
    } while (0)

#endif
