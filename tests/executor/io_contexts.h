/* The kinds of contexts in which a program does I/O in line. */
#ifndef TESTS_EXECUTOR_IO_CONTEXTS_H
#define TESTS_EXECUTOR_IO_CONTEXTS_H

#include <pthread.h>

#include "io.h"

enum { TASK_ON_URING, TASK_ON_EPOLL, THREAD, PTHREAD, MAIN, CONTEXTS };

/* Calls fn in a context of that kind, and waits for its end. */
static inline void run_as(int context, fx_target fn, void *arg)
{
    fx_executor *pool;
    pthread_t foreign;
    fx_thread *thread;
    switch (context) {
    case TASK_ON_URING:
    case TASK_ON_EPOLL:
        pool = io_pool(context, 1);
        run_in(pool, fn, arg);
        end_pool(pool);
        return;
    case THREAD:
        thread = fx_thread_spawn(fn, arg);
        ck_assert_int_eq(fx_thread_join(thread, NULL), 0);
        fx_thread_unref(thread);
        break;
    case PTHREAD:
        ck_assert_int_eq(pthread_create(&foreign, NULL, fn, arg), 0);
        pthread_join(foreign, NULL);
        break;
    default:
        fn(arg);
        break;
    }
    ck_assert_msg(!record_failure(), "%s", record_failure());
}

#endif
