/* An executor whose tasks run when, and where, a test says so: what the generic part of executors
 * does is seen one step at a time.
 *
 *     struct manual ex;
 *     manual_init(&ex);
 *     fx_future *f = fx_submit(&ex.executor, fn, arg);
 *     manual_run(&ex);                         // the first task, here; false if there is none
 *     manual_end(&ex);                         // all tasks must be gone
 */
#ifndef TESTS_EXECUTOR_MANUAL_H
#define TESTS_EXECUTOR_MANUAL_H

#include <fxthread.h>

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "executor/executor.h"

struct manual_task {
    struct fxi_task task;
    struct manual_task *next;
};

struct manual {
    fx_executor executor;
    pthread_mutex_t mutex;
    struct manual_task *first, **last;
    atomic_int memories; /* tasks whose memory is there */
    atomic_int withdrawn, stopped, abandoned;
    int submit_error;    /* what submit says, or 0 */
};

static inline struct manual *manual_of(fx_executor *executor)
{
    return (struct manual *)(void *)executor;
}

static inline void *manual_alloc(fx_executor *executor, size_t bytes)
{
    void *memory = malloc(bytes);
    memset(memory, 0xa5, bytes);
    atomic_fetch_add(&manual_of(executor)->memories, 1);
    return memory;
}

static inline void manual_free(fx_executor *executor, void *memory, size_t bytes)
{
    (void)bytes;
    atomic_fetch_sub(&manual_of(executor)->memories, 1);
    free(memory);
}

static inline int manual_submit(fx_executor *executor, struct fxi_task *task)
{
    struct manual *manual = manual_of(executor);
    struct manual_task *mine = (struct manual_task *)(void *)task;
    int rc = fxi_executor_refusal(executor);
    if (rc != 0 || manual->submit_error)
        return rc != 0 ? rc : manual->submit_error;
    pthread_mutex_lock(&manual->mutex);
    mine->next = NULL;
    *manual->last = mine;
    manual->last = &mine->next;
    pthread_mutex_unlock(&manual->mutex);
    return 0;
}

static inline struct manual_task *manual_take(struct manual *manual)
{
    pthread_mutex_lock(&manual->mutex);
    struct manual_task *task = manual->first;
    if (task)
        manual->first = task->next;
    if (!manual->first)
        manual->last = &manual->first;
    pthread_mutex_unlock(&manual->mutex);
    return task;
}

static inline bool manual_is_empty(struct manual *manual)
{
    pthread_mutex_lock(&manual->mutex);
    bool is_empty = !manual->first;
    pthread_mutex_unlock(&manual->mutex);
    return is_empty;
}

static inline bool manual_run(struct manual *manual)
{
    struct manual_task *task = manual_take(manual);
    if (!task || !fxi_self())
        return false;
    if (fxi_task_start(&task->task))
        fxi_task_perform(&task->task);
    fx_future_unref(&task->task.future);
    return true;
}

static inline void manual_withdrawn(struct fxi_task *task)
{
    atomic_fetch_add(&manual_of(task->executor)->withdrawn, 1);
}

static inline int manual_stop(struct fxi_task *task, fx_exc code)
{
    atomic_store(&manual_of(task->executor)->stopped, code);
    return 0;
}

static inline int manual_shutdown(fx_executor *executor, bool wait, bool cancel_futures,
                                  fx_deadline deadline)
{
    struct manual_task *task;
    fxi_executor_set_condition(executor, FXI_EXECUTOR_SHUT);
    while (cancel_futures && (task = manual_take(manual_of(executor))) != NULL) {
        fxi_future_cancel(&task->task.future, NULL);
        fx_future_unref(&task->task.future);
    }
    return wait && manual_of(executor)->first && deadline != FX_FOREVER ? -ETIMEDOUT : 0;
}

static inline void manual_abandoned(fx_executor *executor)
{
    atomic_fetch_add(&manual_of(executor)->abandoned, 1);
}

static const struct fxi_executor_ops manual_ops = { .task_bytes = sizeof(struct manual_task),
                                                    .shares_memory = true,
                                                    .task_alloc = manual_alloc,
                                                    .task_free = manual_free,
                                                    .submit = manual_submit,
                                                    .withdrawn = manual_withdrawn,
                                                    .stop = manual_stop,
                                                    .shutdown = manual_shutdown,
                                                    .abandoned = manual_abandoned };

/* As a process pool: it takes copies only. */
static const struct fxi_executor_ops manual_copying_ops = { .task_bytes =
                                                                sizeof(struct manual_task),
                                                            .task_alloc = manual_alloc,
                                                            .task_free = manual_free,
                                                            .submit = manual_submit,
                                                            .shutdown = manual_shutdown,
                                                            .abandoned = manual_abandoned };

/* With the library's own memory, where faults can be injected. */
static const struct fxi_executor_ops manual_plain_ops = { .task_bytes = sizeof(struct manual_task),
                                                          .shares_memory = true,
                                                          .submit = manual_submit,
                                                          .shutdown = manual_shutdown,
                                                          .abandoned = manual_abandoned };

static inline void manual_init_with(struct manual *manual, const struct fxi_executor_ops *ops)
{
    memset(manual, 0, sizeof *manual);
    pthread_mutex_init(&manual->mutex, NULL);
    manual->last = &manual->first;
    fxi_executor_init(&manual->executor, ops, 2);
}

static inline void manual_init(struct manual *manual)
{
    manual_init_with(manual, &manual_ops);
}

static inline void manual_end(struct manual *manual)
{
    fx_executor_unref(&manual->executor);
    ck_assert_int_eq(atomic_load(&manual->abandoned), 1);
    ck_assert_int_eq(atomic_load(&manual->memories), 0);
    ck_assert_ptr_null(manual->first);
}

/* Two threads that run what comes, until `ends` is set. */
struct manual_crew {
    struct manual *manual;
    atomic_bool ends;
    fx_thread *threads[2];
};

static inline void *manual_work(void *arg)
{
    struct manual_crew *crew = arg;
    while (!atomic_load(&crew->ends))
        if (!manual_run(crew->manual))
            fx_sleep(FX_USEC(100));
    return NULL;
}

static inline void manual_crew_start(struct manual_crew *crew, struct manual *manual)
{
    crew->manual = manual;
    atomic_init(&crew->ends, false);
    for (int i = 0; i < 2; i++)
        crew->threads[i] = fx_thread_spawn(manual_work, crew);
}

static inline void manual_crew_end(struct manual_crew *crew)
{
    atomic_store(&crew->ends, true);
    for (int i = 0; i < 2; i++) {
        fx_thread_join(crew->threads[i], NULL);
        fx_thread_unref(crew->threads[i]);
    }
}

/* The call is refused with that errno. */
#define assert_refused(call, error)     \
    do {                                \
        errno = 0;                      \
        ck_assert_ptr_null(call);       \
        ck_assert_int_eq(errno, error); \
    } while (0)

#endif
