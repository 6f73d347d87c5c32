/* The server's own process. It waits for what comes on its channels, and for the ends of its
 * workers, and never for anybody: what a channel does not take it tells later. */
#include "executor/fork_server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <unistd.h>

#include "base/list.h"
#include "context/context.h"
#include "kernel/channel.h"
#include "kernel/descriptor.h"
#include "kernel/epoll.h"
#include "kernel/process.h"
#include "kernel/thread_name.h"
#include "libc/alloc.h"

enum source_kind { THE_CONTROL, THE_PROGRAM, THE_STOPS, A_POOL, A_WORKER };

/* What epoll tells of; the head of the two below. */
struct source {
    enum source_kind kind;
};

struct pool {
    struct source source;
    struct fxi_list listed;
    struct fxi_list workers;
    int channel, memory, event;
    bool is_blocked; /* the channel takes no more at present */
    struct fxi_worker_plan plan;
};

struct worker {
    struct source source;
    struct fxi_list listed;
    struct pool *pool;
    uint32_t seat, number;
    pid_t pid;
    int process;          /* its descriptor; -1: it is not there */
    int failed;           /* 0, or the errno: it was never there */
    int status;           /* of one that has ended */
    bool has_ended, start_is_told, stop_is_to_be_told;
};

static struct {
    int epoll, control, program, stops;
    pid_t pid;
    struct fxi_list pools;
    struct source control_source, program_source, stops_source;
} server;

static int watch(int descriptor, struct source *source)
{
    return fxi_epoll_set(server.epoll, descriptor, EPOLLIN, (uintptr_t)source);
}

/* --- telling ---------------------------------------------------------------------------------- */

static int tell(struct pool *pool, const struct worker *worker, enum fxi_server_news_kind kind,
                int value, int descriptor)
{
    struct fxi_server_news news = { kind, worker->seat, worker->number, value };
    return fxi_channel_send(pool->channel, &news, sizeof news, &descriptor, descriptor >= 0);
}

/* Other processes have what the descriptors here stand for, too: closing them does not end that
 * they are watched. */
static void close_watched(int descriptor)
{
    if (descriptor >= 0)
        fxi_epoll_remove(server.epoll, descriptor);
    fxi_descriptor_close(descriptor);
}

static void forget(struct worker *worker)
{
    fxi_list_remove(&worker->listed);
    close_watched(worker->process);
    fxi_free(worker);
}

/* What is to be told of one worker. False: the channel takes no more. */
static bool tell_of(struct worker *worker)
{
    struct pool *pool = worker->pool;
    if (worker->failed) {
        if (tell(pool, worker, FXI_NEWS_FAILED, -worker->failed, -1) == -EAGAIN)
            return false;
        forget(worker);
        return true;
    }
    if (!worker->start_is_told) {
        if (tell(pool, worker, FXI_NEWS_STARTED, worker->pid, worker->process) == -EAGAIN)
            return false;
        worker->start_is_told = true;
    }
    if (worker->stop_is_to_be_told && !worker->has_ended) {
        if (tell(pool, worker, FXI_NEWS_STOPPED, 0, -1) == -EAGAIN)
            return false;
        worker->stop_is_to_be_told = false;
    }
    if (worker->has_ended) {
        if (tell(pool, worker, FXI_NEWS_ENDED, worker->status, -1) == -EAGAIN)
            return false;
        forget(worker);
    }
    return true;
}

static void tell_all(struct pool *pool)
{
    bool goes_on = true;
    for (struct fxi_list *node = pool->workers.next, *next; goes_on && node != &pool->workers;
         node = next) {
        next = node->next;
        goes_on = tell_of(fxi_container_of(node, struct worker, listed));
    }
    if (pool->is_blocked == !goes_on)
        return;
    pool->is_blocked = !goes_on;
    fxi_epoll_set(server.epoll, pool->channel, EPOLLIN | (goes_on ? 0 : EPOLLOUT),
                  (uintptr_t)&pool->source);
}

/* --- workers ---------------------------------------------------------------------------------- */

static _Noreturn void become_worker(const struct worker *worker)
{
    struct pool *pool = worker->pool;
    int kept[] = { pool->memory, pool->event };
    struct fxi_worker_plan plan = pool->plan;
    uint32_t seat = worker->seat, number = worker->number;
    pid_t parent = server.pid;
    fxi_descriptors_keep(kept, 2);
    fxi_process_worker_main(&plan, seat, number, kept[0], kept[1], parent);
}

static void start(struct pool *pool, const struct fxi_server_order *order)
{
    struct worker *worker = fxi_alloc(sizeof *worker);
    if (!worker) /* there is nothing to tell it by */
        fxi_process_exit(1);
    worker->source.kind = A_WORKER;
    worker->pool = pool;
    worker->seat = order->seat;
    worker->number = order->number;
    worker->process = -1;
    fxi_list_push_back(&pool->workers, &worker->listed);
    pid_t pid = fxi_process_fork();
    if (pid == 0)
        become_worker(worker);
    worker->pid = pid;
    worker->failed = pid < 0 ? -pid : 0;
    if (pid > 0) {
        worker->process = fxi_process_open(pid);
        int rc = worker->process < 0 ? worker->process : watch(worker->process, &worker->source);
        if (rc < 0) { /* without a descriptor it could be neither ended nor seen to end */
            fxi_process_signal_child(pid, SIGKILL);
            fxi_process_reap(pid);
            worker->failed = -rc;
        }
    }
    tell_all(pool);
}

static void reap(struct worker *worker)
{
    worker->status = fxi_process_reap(worker->pid);
    worker->has_ended = true;
    fxi_epoll_remove(server.epoll, worker->process);
    tell_all(worker->pool);
}

static struct worker *find_worker(pid_t pid)
{
    fxi_list_for_each(of_pool, &server.pools) {
        struct pool *pool = fxi_container_of(of_pool, struct pool, listed);
        fxi_list_for_each(node, &pool->workers) {
            struct worker *worker = fxi_container_of(node, struct worker, listed);
            if (worker->pid == pid)
                return worker;
        }
    }
    return NULL;
}

static void hear_stops(void)
{
    pid_t pid;
    while ((pid = fxi_stops_next(server.stops)) != 0) {
        struct worker *worker = find_worker(pid);
        if (!worker)
            continue;
        worker->stop_is_to_be_told = true;
        tell_all(worker->pool);
    }
}

/* --- pools ------------------------------------------------------------------------------------ */

static void end_pool(struct pool *pool)
{
    while (!fxi_list_is_empty(&pool->workers)) {
        struct worker *worker = fxi_container_of(pool->workers.next, struct worker, listed);
        if (worker->process >= 0 && !worker->has_ended) {
            fxi_process_signal_child(worker->pid, SIGKILL);
            fxi_process_reap(worker->pid);
        }
        forget(worker);
    }
    fxi_list_remove(&pool->listed);
    close_watched(pool->channel);
    fxi_descriptor_close(pool->memory);
    fxi_descriptor_close(pool->event);
    fxi_free(pool);
}

static void send_signal(struct pool *pool, const struct fxi_server_order *order)
{
    fxi_list_for_each(node, &pool->workers) {
        struct worker *worker = fxi_container_of(node, struct worker, listed);
        if (worker->seat == order->seat && worker->number == order->number &&
            worker->process >= 0 && !worker->has_ended)
            fxi_process_signal_child(worker->pid, order->signal);
    }
}

static void hear_pool(struct pool *pool)
{
    struct fxi_server_order order;
    for (;;) {
        int size = fxi_channel_receive(pool->channel, &order, sizeof order, NULL, NULL);
        if (size == -EAGAIN) {
            tell_all(pool);
            return;
        }
        if (size != sizeof order) {
            end_pool(pool);
            return;
        }
        if (order.signal != 0)
            send_signal(pool, &order);
        else
            start(pool, &order);
    }
}

/* Where a pool cannot be taken its channel is closed, which tells it. */
static void open_pool(const struct fxi_server_opening *opening, const int *descriptors, int n)
{
    struct pool *pool = n == 3 ? fxi_alloc(sizeof *pool) : NULL;
    if (pool && watch(descriptors[0], &pool->source) >= 0) {
        pool->source.kind = A_POOL;
        pool->channel = descriptors[0];
        pool->memory = descriptors[1];
        pool->event = descriptors[2];
        pool->plan = opening->plan;
        fxi_list_init(&pool->workers);
        fxi_list_push_back(&server.pools, &pool->listed);
        return;
    }
    for (int i = 0; i < n; i++)
        fxi_descriptor_close(descriptors[i]);
    fxi_free(pool);
}

/* The kernel kills the workers of a server that ends, but for those that have changed their rights
 * since. */
static _Noreturn void end_server(void)
{
    while (!fxi_list_is_empty(&server.pools))
        end_pool(fxi_container_of(server.pools.next, struct pool, listed));
    fxi_process_exit(0);
}

static void hear_program(void)
{
    for (;;) {
        struct fxi_server_opening opening;
        int descriptors[FXI_CHANNEL_DESCRIPTORS_MOST], n = FXI_CHANNEL_DESCRIPTORS_MOST;
        int size = fxi_channel_receive(server.control, &opening, sizeof opening, descriptors, &n);
        if (size == -EAGAIN)
            return;
        if (size != sizeof opening)
            end_server();
        open_pool(&opening, descriptors, n);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

/* What the program does at a signal is the program's; what reports a crash stays, and what the
 * library itself needs. */
static void reset_signals(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGFPE ||
            number == SIGABRT || number == SIGTRAP || number == SIGSYS || number == FXI_STOP_SIGNAL)
            continue;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN &&
            action.sa_handler != SIG_DFL)
            signal(number, SIG_DFL);
    }
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL); /* it is how workers are ended */
    signal(SIGCHLD, SIG_DFL);
}

/* One event at a time: what an event does may free what the next one is about. */
static _Noreturn void serve(void)
{
    for (;;) {
        struct epoll_event event;
        if (fxi_epoll_wait(server.epoll, &event, 1, FX_FOREVER) < 1)
            continue;
        struct source *source = event.data.ptr;
        switch (source->kind) {
        case THE_CONTROL:
            hear_program();
            break;
        case THE_PROGRAM:
            end_server();
        case THE_STOPS:
            hear_stops();
            break;
        case A_POOL:
            hear_pool(fxi_container_of(source, struct pool, source));
            break;
        case A_WORKER:
            reap(fxi_container_of(source, struct worker, source));
            break;
        }
    }
}

static int set_up(void)
{
    server.epoll = fxi_epoll_open();
    if (server.epoll < 0)
        return server.epoll;
    server.control_source.kind = THE_CONTROL;
    server.program_source.kind = THE_PROGRAM;
    server.stops_source.kind = THE_STOPS;
    int rc = watch(server.control, &server.control_source);
    if (rc >= 0)
        rc = watch(server.program, &server.program_source);
    if (rc >= 0)
        rc = server.stops = fxi_stops_new();
    return rc < 0 ? rc : watch(server.stops, &server.stops_source);
}

void fxi_fork_server_main(int control, int program)
{
    int kept[] = { control, program };
    fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    reset_signals();
    fxi_descriptors_keep(kept, 2);
    fxi_kernel_name_set_own("fx-fork-server");
    fxi_process_pools_unmap();
    __fpurge(stdout); /* what the program has not written out yet it will write itself */
    __fpurge(stderr);
    server.control = kept[0];
    server.program = kept[1];
    server.pid = getpid();
    fxi_list_init(&server.pools);
    int own = fxi_process_open(server.pid), rc = own < 0 ? own : set_up();
    struct fxi_server_hello hello = { rc };
    fxi_channel_send(server.control, &hello, sizeof hello, &own, own >= 0);
    fxi_descriptor_close(own);
    if (rc < 0)
        fxi_process_exit(1);
    serve();
}
