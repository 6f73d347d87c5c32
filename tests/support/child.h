/* Running part of a test in a forked child, and waiting for it with a limit. */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "await.h"

/* The wait status of `child`. One that is still there when the limit is over is killed, and its
 * status says SIGKILL: a hang is told apart from a crash and does not hang the test. */
static inline int child_wait(pid_t child)
{
    int status = -1;
    pid_t got = 0;
    if (!await_for((got = waitpid(child, &status, WNOHANG)) != 0, await_limit())) {
        kill(child, SIGKILL);
        while ((got = waitpid(child, &status, 0)) < 0 && errno == EINTR)
            ;
    }
    return got == child ? status : -1;
}

/* Its exit code; -signal if a signal ended it; -1000 if there was no such child. */
static inline int child_code(pid_t child)
{
    int status = child_wait(child);
    if (status == -1)
        return -1000;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* fork(), body() as the child's exit code, and child_code(). What stdio has buffered stays the
 * parent's. */
static inline int child_run(int (*body)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(body());
    return child < 0 ? -1000 : child_code(child);
}

#endif
