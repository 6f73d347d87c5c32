/* A pool's monitor: a thread that finishes futures, has workers started where tasks wait, and
 * buries those that have ended.
 *
 * It sleeps until something comes on the channel from the fork server, the event is set, or
 * a time limit runs out; by the event it is woken only after it has said that it sleeps, which it
 * takes back when it is awake. */
#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "executor/process_pool.h"
#include "kernel/channel.h"
#include "kernel/descriptor.h"
#include "kernel/epoll.h"
#include "kernel/process.h"
#include "kernel/processor.h"
#include "park/park.h"

#define FAILURES_MOST 100 /* workers in a row that end before they are ready */
#define RECONNECTS_MOST 3 /* servers in a row that start no worker */
#define SPINS 100         /* looks around before it sleeps */
#define YIELDS 8

struct monitor {
    struct fxi_process_pool *pool;
    int reconnects;
    bool is_blocked; /* the channel takes no order; it tells when it does, or is at its end */
    uint32_t starts; /* of the board's count, how many were looked at */
};

static void break_pool(struct fxi_process_pool *pool, const char *message)
{
    fxi_executor_set_condition(&pool->executor, FXI_EXECUTOR_BROKEN);
    fxi_lowlock_acquire(&pool->lock);
    pool->is_closed = true;
    if (!pool->broken)
        fxi_store_relaxed(&pool->broken, message);
    fxi_lowlock_release(&pool->lock);
}

/* --- workers ---------------------------------------------------------------------------------- */

/* With the lock held. */
static void empty_seat(struct fxi_process_pool *pool, struct fxi_seat_record *seat)
{
    uint32_t number = (uint32_t)(seat - pool->seats);
    fxi_descriptor_close(seat->process);
    seat->process = -1;
    seat->signal = 0;
    seat->state = FXI_SEAT_EMPTY;
    fxi_store_relaxed(&pool->present, pool->present - 1);
    fxi_board_reset_seat(pool->board, number);
    if (fxi_process_pool_has_open(pool) && !pool->broken)
        fxi_process_pool_rouse(pool);
}

static bool is_ready(const struct fxi_process_pool *pool, const struct fxi_seat_record *seat)
{
    /* acquire: pairs with the worker's release */
    return fxi_load_acquire(&pool->board->seats[seat - pool->seats].is_ready);
}

static bool is_over(struct fxi_process_pool *pool)
{
    fxi_lowlock_acquire(&pool->lock);
    bool is_over = pool->is_closed && pool->unfinished == 0;
    fxi_lowlock_release(&pool->lock);
    return is_over;
}

static void worker_has_ended(struct fxi_process_pool *pool, struct fxi_seat_record *seat,
                             int status)
{
    bool was_ready = is_ready(pool, seat);
    fxi_process_pool_collect(pool);
    fxi_process_pool_bury(pool, (uint32_t)(seat - pool->seats), status);
    pool->failures = was_ready ? 0 : pool->failures + 1;
    if (is_over(pool))
        ; /* it was ended, ready or not */
    else if (!was_ready && pool->has_initializer)
        break_pool(pool, "the initializer of a worker failed");
    else if (pool->failures == FAILURES_MOST)
        break_pool(pool, "workers end before they are ready");
    fxi_lowlock_acquire(&pool->lock);
    pool->is_starved = false;
    empty_seat(pool, seat);
    fxi_lowlock_release(&pool->lock);
    fxi_process_pool_end_lost(pool, false);
}

static void worker_cannot_be_had(struct fxi_process_pool *pool, struct fxi_seat_record *seat)
{
    fxi_lowlock_acquire(&pool->lock);
    pool->is_starved = true;
    empty_seat(pool, seat);
    bool is_alone = pool->present == pool->wanted;
    fxi_lowlock_release(&pool->lock);
    if (is_alone)
        break_pool(pool, "no process could be started");
}

static void worker_has_started(struct monitor *monitor, struct fxi_seat_record *seat, int process)
{
    struct fxi_process_pool *pool = monitor->pool;
    fxi_lowlock_acquire(&pool->lock);
    seat->process = process;
    seat->state = FXI_SEAT_TAKEN;
    pool->is_starved = false;
    fxi_lowlock_release(&pool->lock);
    fxi_board_make_known(pool->board, (uint32_t)(seat - pool->seats), seat->number);
    monitor->reconnects = 0;
}

/* A bell that it was to answer rings for another one. */
static void worker_was_stopped(struct fxi_process_pool *pool, uint32_t seat)
{
    fxi_lowlock_acquire(&pool->lock);
    fxi_board_pass_over(pool->board, seat);
    if (fxi_process_pool_has_open(pool) && !pool->broken)
        fxi_process_pool_rouse(pool);
    fxi_lowlock_release(&pool->lock);
}

/* Whatever stands in the way, the channel tells. */
static bool send_order(struct monitor *monitor, uint32_t seat, uint32_t number, int signal)
{
    struct fxi_server_order order = { seat, number, signal };
    monitor->is_blocked =
        fxi_channel_send(monitor->pool->channel, &order, sizeof order, NULL, 0) != 0;
    return !monitor->is_blocked;
}

/* With the lock held. False: the channel takes no more. */
static bool order_for(struct monitor *monitor, uint32_t number)
{
    struct fxi_process_pool *pool = monitor->pool;
    struct fxi_seat_record *seat = &pool->seats[number];
    if (seat->state == FXI_SEAT_WANTED && pool->broken) {
        seat->state = FXI_SEAT_EMPTY;
        fxi_store_relaxed(&pool->present, pool->present - 1);
        fxi_store_relaxed(&pool->wanted, pool->wanted - 1);
    } else if (seat->state == FXI_SEAT_WANTED) {
        if (!send_order(monitor, number, seat->number + 1, 0))
            return false;
        seat->number++;
        seat->state = FXI_SEAT_ORDERED;
        fxi_store_relaxed(&pool->wanted, pool->wanted - 1);
    } else if (seat->state != FXI_SEAT_EMPTY && seat->signal != 0) {
        if (!send_order(monitor, number, seat->number, seat->signal))
            return false;
        seat->signal = 0;
    }
    return true;
}

static bool has_orders(const struct fxi_process_pool *pool)
{
    return fxi_load_relaxed(&pool->wanted) > 0 || fxi_load_relaxed(&pool->has_signals);
}

static void send_orders(struct monitor *monitor)
{
    struct fxi_process_pool *pool = monitor->pool;
    if (!has_orders(pool) || monitor->is_blocked)
        return;
    fxi_lowlock_acquire(&pool->lock);
    bool goes_on = true;
    for (uint32_t i = 0; i < pool->max_workers && goes_on; i++)
        goes_on = order_for(monitor, i);
    if (goes_on)
        fxi_store_relaxed(&pool->has_signals, false);
    fxi_lowlock_release(&pool->lock);
}

/* --- the fork server -------------------------------------------------------------------------- */

/* A fork closes in the child what stands in the pool: by the number, which is not to be another
 * one's. */
static void close_channel(struct fxi_process_pool *pool)
{
    fxi_lowlock_acquire(&pool->lock);
    int channel = pool->channel;
    pool->channel = -1;
    fxi_lowlock_release(&pool->lock);
    fxi_epoll_remove(pool->epoll, channel);
    fxi_descriptor_close(channel);
}

static int watch_server(struct fxi_process_pool *pool)
{
    int rc = fxi_epoll_set(pool->epoll, pool->channel, EPOLLIN | EPOLLOUT | EPOLLET,
                           (uintptr_t)&pool->channel);
    return rc >= 0 ? fxi_fork_server_watch(pool->epoll, &pool->plan) : rc;
}

/* It is gone, and its workers with it: each is seen to be, as far as it is known. */
static void server_has_gone(struct monitor *monitor)
{
    struct fxi_process_pool *pool = monitor->pool;
    close_channel(pool);
    fxi_fork_server_leave();
    int channel = monitor->reconnects++ < RECONNECTS_MOST
                      ? fxi_fork_server_connect(&pool->plan, pool->arena.memory, pool->event)
                      : -EAGAIN;
    for (uint32_t i = 0; i < pool->max_workers; i++) {
        struct fxi_seat_record *seat = &pool->seats[i];
        if (seat->state != FXI_SEAT_ORDERED && seat->state != FXI_SEAT_TAKEN)
            continue;
        if (seat->process >= 0) {
            fxi_process_signal(seat->process, SIGKILL);
            fxi_descriptor_await(seat->process);
            fxi_process_reap_own(seat->process); /* where orphans come to this process */
        }
        fxi_process_pool_collect(pool);
        fxi_process_pool_bury(pool, i, SIGKILL); /* which is what the kernel ends them with */
        fxi_lowlock_acquire(&pool->lock);
        empty_seat(pool, seat);
        fxi_lowlock_release(&pool->lock);
    }
    pool->channel = channel >= 0 ? channel : -1;
    if (channel < 0 || watch_server(pool) != 0)
        break_pool(pool, "no process could be started");
}

static void heed(struct monitor *monitor, const struct fxi_server_news *news, int process)
{
    struct fxi_process_pool *pool = monitor->pool;
    struct fxi_seat_record *seat = news->seat < pool->max_workers ? &pool->seats[news->seat] : NULL;
    if (!seat || seat->number != news->number) {
        fxi_descriptor_close(process);
        return;
    }
    switch ((enum fxi_server_news_kind)news->kind) {
    case FXI_NEWS_STARTED:
        worker_has_started(monitor, seat, process);
        break;
    case FXI_NEWS_FAILED:
        worker_cannot_be_had(pool, seat);
        break;
    case FXI_NEWS_STOPPED:
        worker_was_stopped(pool, news->seat);
        break;
    case FXI_NEWS_ENDED:
        worker_has_ended(pool, seat, news->value);
        break;
    }
}

static void hear_server(struct monitor *monitor)
{
    struct fxi_process_pool *pool = monitor->pool;
    while (pool->channel >= 0) {
        struct fxi_server_news news;
        int process = -1, n = 1;
        int size = fxi_channel_receive(pool->channel, &news, sizeof news, &process, &n);
        if (size == -EAGAIN)
            return;
        if (size == sizeof news)
            heed(monitor, &news, n == 1 ? process : -1);
        else
            server_has_gone(monitor);
    }
}

/* --- what the program asked for --------------------------------------------------------------- */

/* Tasks with a limit, and, where what is pending is limited, those that have begun. When to look
 * again. */
static fx_deadline look_at_starts(struct fxi_process_pool *pool)
{
    fx_deadline next = FX_FOREVER, now = fx_now();
    fxi_lowlock_acquire(&pool->lock);
    for (uint32_t i = 0; i < FXI_JOBS; i++) {
        struct fxi_process_task *task = pool->tasks[i];
        struct fxi_job *job = &pool->board->jobs[i];
        fx_deadline started = fxi_load_relaxed(&job->started);
        if (!task || fxi_job_state(fxi_load_acquire(&job->word)) != FXI_JOB_TAKEN || started == 0)
            continue;
        fxi_task_start(&task->task);
        fx_nsec limit = task->task.time_limit;
        if (limit <= 0)
            continue;
        fx_deadline end = limit > INT64_MAX - started ? INT64_MAX : started + limit;
        if (end <= now)
            fxi_process_task_condemn(pool, task, FX_TIMED_OUT);
        else if (next == FX_FOREVER || end < next)
            next = end;
    }
    fxi_lowlock_release(&pool->lock);
    return next;
}

static void heed_breaking(struct fxi_process_pool *pool)
{
    fxi_lowlock_acquire(&pool->lock);
    const char *message = pool->broken;
    pool->posts_nothing |= message != NULL;
    fxi_lowlock_release(&pool->lock);
    if (!message)
        return;
    fxi_process_pool_end_pending(pool, message);
    if (fxi_load_relaxed(&pool->present) == 0)
        fxi_process_pool_end_lost(pool, true);
}

/* Of what is on the board nothing can be relied on, and of the workers nothing either. */
static void end_spoilt(struct fxi_process_pool *pool)
{
    break_pool(pool, "a worker has written over the pool's memory");
    fxi_lowlock_acquire(&pool->lock);
    for (uint32_t i = 0; i < pool->max_workers; i++)
        if (pool->seats[i].state == FXI_SEAT_ORDERED || pool->seats[i].state == FXI_SEAT_TAKEN)
            fxi_process_seat_signal(pool, &pool->seats[i], SIGKILL);
    fxi_lowlock_release(&pool->lock);
}

/* --- the loop --------------------------------------------------------------------------------- */

static bool has_done(const struct fxi_process_pool *pool)
{
    for (uint32_t i = 0; i < pool->max_workers; i++)
        if (fxi_load_acquire(&pool->board->seats[i].done_tail) != pool->seats[i].done_head)
            return true;
    return false;
}

static bool spin(const struct fxi_process_pool *pool)
{
    for (int i = 0; i < SPINS && fxi_processors() > 1; i++) {
        if (has_done(pool))
            return true;
        fxi_cpu_relax();
    }
    for (int i = 0; i < YIELDS; i++) {
        if (has_done(pool))
            return true;
        sched_yield();
    }
    return false;
}

/* With the lock: whether there is nothing to do at present; and whether there never will be. */
static bool is_idle(const struct monitor *monitor, bool *is_over)
{
    struct fxi_process_pool *pool = monitor->pool;
    fxi_lowlock_acquire(&pool->lock);
    *is_over = pool->is_closed && pool->unfinished == 0;
    bool has_pending = !fxi_list_is_empty(&pool->queue) || fxi_process_pool_has_open(pool);
    bool is_idle = (!has_orders(pool) || monitor->is_blocked) &&
                   !(pool->broken && pool->unfinished > 0 && has_pending) &&
                   !(pool->is_spoilt && !pool->broken) &&
                   (pool->untold_count == 0 || pool->teller);
    fxi_lowlock_release(&pool->lock);
    return is_idle && !*is_over && !has_done(pool);
}

/* It begins, or is over. */
static void count_sleep(struct fxi_process_pool *pool)
{
    fxi_store_relaxed(&pool->sleeps, pool->sleeps + 1);
    fxi_store_relaxed(&pool->board->sleeps, pool->sleeps);
}

static void rest(struct monitor *monitor, fx_deadline deadline, bool *is_over)
{
    struct fxi_process_pool *pool = monitor->pool;
    struct epoll_event events[4];
    count_sleep(pool);
    fxi_fence_full(); /* pairs with those of who wakes it */
    int n = 0;
    if (is_idle(monitor, is_over) && fxi_load_relaxed(&pool->board->starts) == monitor->starts)
        n = fxi_epoll_wait(pool->epoll, events, 4, deadline);
    count_sleep(pool);
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr == &pool->channel) {
            monitor->is_blocked = false;
            hear_server(monitor);
        } else if (events[i].data.ptr == &pool->plan && pool->channel >= 0 &&
                   fxi_fork_server_has_ended()) {
            hear_server(monitor); /* what it said last */
            if (pool->channel >= 0 && fxi_fork_server_has_ended())
                server_has_gone(monitor);
        }
}

static void watch(struct monitor *monitor)
{
    struct fxi_process_pool *pool = monitor->pool;
    bool is_over = false;
    while (!is_over && !pool->is_foreign) {
        fx_deadline deadline = FX_FOREVER;
        fxi_process_pool_collect(pool);
        monitor->starts = fxi_load_acquire(&pool->board->starts);
        if (fxi_load_relaxed(&pool->has_limits) || pool->tells_starts)
            deadline = look_at_starts(pool);
        if (fxi_load_relaxed(&pool->is_spoilt) && !fxi_load_relaxed(&pool->broken))
            end_spoilt(pool);
        if (fxi_load_relaxed(&pool->broken))
            heed_breaking(pool);
        send_orders(monitor);
        fxi_process_pool_see_to_telling(pool);
        if (!spin(pool))
            rest(monitor, deadline, &is_over);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

/* No task is left: nothing is lost with the workers. Each is seen to end, so that none is there
 * when the pool is. */
static void end_workers(struct monitor *monitor)
{
    struct fxi_process_pool *pool = monitor->pool;
    fxi_lowlock_acquire(&pool->lock);
    for (uint32_t i = 0; i < pool->max_workers; i++) {
        struct fxi_seat_record *seat = &pool->seats[i];
        if (seat->state == FXI_SEAT_WANTED) {
            seat->state = FXI_SEAT_EMPTY;
            fxi_store_relaxed(&pool->wanted, pool->wanted - 1);
            fxi_store_relaxed(&pool->present, pool->present - 1);
        } else if (seat->state != FXI_SEAT_EMPTY) {
            fxi_process_seat_signal(pool, seat, SIGKILL);
        }
    }
    size_t left = pool->present;
    fxi_lowlock_release(&pool->lock);
    while (left > 0 && pool->channel >= 0) {
        send_orders(monitor);
        fxi_descriptor_await(pool->channel);
        monitor->is_blocked = false;
        hear_server(monitor);
        left = fxi_load_relaxed(&pool->present);
    }
}

static void set_state(struct fxi_process_pool *pool, enum fxi_process_pool_state state)
{
    /* release: pairs with the acquire of who waits for it */
    fxi_store_release(&pool->state, (uint32_t)state);
    fxi_unpark(&pool->state, SIZE_MAX);
}

static void close_all(struct fxi_process_pool *pool)
{
    fxi_lowlock_acquire(&pool->lock);
    pool->is_closed = true;
    int descriptors[] = { pool->channel, pool->epoll, pool->event };
    pool->channel = pool->epoll = pool->event = -1;
    fxi_lowlock_release(&pool->lock);
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
        fxi_descriptor_close(descriptors[i]);
    fxi_arena_close(&pool->arena);
}

static int begin(struct fxi_process_pool *pool)
{
    int rc = fxi_epoll_set(pool->epoll, pool->event, EPOLLIN | EPOLLET, (uintptr_t)&pool->event);
    if (rc < 0)
        return rc;
    int channel = fxi_fork_server_connect(&pool->plan, pool->arena.memory, pool->event);
    if (channel < 0)
        return channel;
    pool->channel = channel;
    return watch_server(pool);
}

/* The program's signals are for its own threads. */
void *fxi_process_monitor_main(void *arg)
{
    struct fxi_process_pool *pool = arg;
    struct monitor monitor = { .pool = pool };
    fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    pool->verdict = begin(pool);
    if (pool->verdict == 0) {
        set_state(pool, FXI_PROCESS_POOL_RUNS);
        watch(&monitor);
        if (pool->is_foreign) /* a callback, called here for want of a thread, has forked */
            return NULL;
        end_workers(&monitor);
        fxi_process_pool_end_telling(pool);
    }
    bool is_connected = pool->channel >= 0;
    close_all(pool);
    if (is_connected)
        fxi_fork_server_leave();
    set_state(pool, FXI_PROCESS_POOL_ENDED);
    fx_thread_unref(pool->monitor);
    fxi_process_pool_drop(pool);
    return NULL;
}
