/* The fork server as the program sees it: making it, and ending it.
 *
 * `making` is held by who makes or ends the server, a thread of the library's own, and over a fork
 * of its own; so the hooks around fork do not take it, and it is new in a child. */
#include "executor/fork_server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executor/process_function.h"
#include "kernel/channel.h"
#include "kernel/descriptor.h"
#include "kernel/epoll.h"
#include "kernel/lowlock.h"
#include "kernel/process.h"
#include "sync/lock.h"

static struct {
    fx_lock making;
    fxi_lowlock lock;  /* of what follows, for a moment */
    int control;       /* the channel to it */
    int process;       /* its descriptor */
    bool is_there;
    size_t users;      /* pools with a hold */
} server;

/* --- making ----------------------------------------------------------------------------------- */

/* In the process in between, which ends at once: so that the server is no child of the program. */
static _Noreturn void fork_again(int control, int program)
{
    pid_t pid = fxi_process_fork();
    if (pid == 0)
        fxi_fork_server_main(control, program);
    fxi_process_exit(pid > 0 ? 0 : -pid);
}

/* What the server says first, with its descriptor. */
static int hear_hello(int control, int *process)
{
    struct fxi_server_hello hello;
    int n = 1, size;
    do {
        fxi_descriptor_await(control);
        size = fxi_channel_receive(control, &hello, sizeof hello, process, &n);
    } while (size == -EAGAIN);
    int rc = size == sizeof hello ? hello.rc : -EAGAIN;
    if (rc == 0 && n != 1)
        return -EMFILE;
    if (rc != 0 && n == 1)
        fxi_descriptor_close(*process);
    return rc;
}

static int fork_server(int ends[2], int program, int *process)
{
    pid_t pid = fxi_process_fork();
    if (pid < 0)
        return pid;
    if (pid == 0)
        fork_again(ends[1], program);
    fxi_descriptor_close(ends[1]);
    ends[1] = -1;
    int status = fxi_process_reap(pid);
    if (status > 0 && WIFEXITED(status))
        return -WEXITSTATUS(status);
    return hear_hello(ends[0], process);
}

static int make(void)
{
    int ends[2], process = -1;
    int rc = fxi_functions_list();
    if (rc == 0)
        rc = fxi_channel_new(ends);
    if (rc != 0)
        return rc;
    int program = fxi_process_open(getpid());
    rc = program < 0 ? program : fork_server(ends, program, &process);
    fxi_descriptor_close(program);
    fxi_descriptor_close(ends[1]);
    if (rc != 0) {
        fxi_descriptor_close(ends[0]);
        return rc;
    }
    fxi_lowlock_acquire(&server.lock);
    server.control = ends[0];
    server.process = process;
    server.is_there = true;
    fxi_lowlock_release(&server.lock);
    return 0;
}

/* --- ending ----------------------------------------------------------------------------------- */

/* It is killed rather than asked, for it may be stopped; but where the program has given up the
 * right to do that, the end of the channel ends it, too. Where the program is the one that orphans
 * are given to, it is its child now. */
static void end(void)
{
    int control, process;
    fxi_lowlock_acquire(&server.lock);
    control = server.control;
    process = server.process;
    server.is_there = false;
    fxi_lowlock_release(&server.lock);
    fxi_process_signal(process, SIGKILL);
    fxi_descriptor_close(control);
    fxi_descriptor_await(process);
    fxi_process_reap_own(process);
    fxi_descriptor_close(process);
}

/* --- for pools -------------------------------------------------------------------------------- */

static int open_channel(const struct fxi_worker_plan *plan, int memory, int event)
{
    struct fxi_server_opening opening;
    int ends[2], rc = fxi_channel_new(ends);
    if (rc != 0)
        return rc;
    memset(&opening, 0, sizeof opening);
    opening.plan = *plan;
    int given[] = { ends[1], memory, event };
    while ((rc = fxi_channel_send(server.control, &opening, sizeof opening, given, 3)) == -EAGAIN)
        fxi_descriptor_await_room(server.control);
    fxi_descriptor_close(ends[1]);
    if (rc == 0)
        return ends[0];
    fxi_descriptor_close(ends[0]);
    return rc;
}

int fxi_fork_server_connect(const struct fxi_worker_plan *plan, int memory, int event)
{
    int rc = -EPIPE;
    fx_lock_acquire(&server.making);
    for (int attempt = 0; attempt < 2 && rc == -EPIPE; attempt++) {
        if (server.is_there && fxi_process_has_ended(server.process))
            end();
        rc = server.is_there ? 0 : make();
        if (rc == 0)
            rc = open_channel(plan, memory, event);
    }
    if (rc >= 0)
        server.users++;
    else if (server.users == 0 && server.is_there)
        end();
    fx_lock_release(&server.making);
    return rc == -EPIPE ? -EAGAIN : rc;
}

int fxi_fork_server_watch(int epoll, void *data)
{
    fx_lock_acquire(&server.making);
    int rc = server.is_there
                 ? fxi_epoll_set(epoll, server.process, EPOLLIN | EPOLLET, (uintptr_t)data)
                 : -ENOMEM;
    fx_lock_release(&server.making);
    return rc < 0 ? rc : 0;
}

bool fxi_fork_server_has_ended(void)
{
    fx_lock_acquire(&server.making);
    bool has_ended = !server.is_there || fxi_process_has_ended(server.process);
    fx_lock_release(&server.making);
    return has_ended;
}

void fxi_fork_server_leave(void)
{
    fx_lock_acquire(&server.making);
    if (--server.users == 0 && server.is_there)
        end();
    fx_lock_release(&server.making);
}

/* --- fork ------------------------------------------------------------------------------------- */

void fxi_fork_server_before_fork(void)
{
    fxi_lowlock_acquire(&server.lock);
}

/* The child has no server, and not the parent's channel to it. */
void fxi_fork_server_after_fork(bool in_child)
{
    if (in_child && server.is_there) {
        fxi_descriptor_close(server.control);
        fxi_descriptor_close(server.process);
        server.is_there = false;
    }
    if (in_child) {
        server.users = 0;
        server.making = (fx_lock){ 0 };
    }
    fxi_lowlock_release(&server.lock);
}
