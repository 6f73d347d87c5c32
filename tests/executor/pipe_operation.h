/* A pipe of the test's own, and tasks that read five bytes from it, and write as many to it. */
#ifndef TESTS_EXECUTOR_PIPE_OPERATION_H
#define TESTS_EXECUTOR_PIPE_OPERATION_H

#include <fcntl.h>

#include "operation.h"

static int pipes[2];

static void make_pipe(void)
{
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
}

static void close_pipe(void)
{
    close(pipes[0]);
    close(pipes[1]);
}

static void *read_pipe(void *arg)
{
    OPERATION(read, read, pipes[0], arg, 5, -1);
    return (void *)(intptr_t)operation_run(&read);
}

static void *write_pipe(void *arg)
{
    OPERATION(write, write, pipes[1], arg, 5, -1);
    return (void *)(intptr_t)operation_run(&write);
}

#endif
