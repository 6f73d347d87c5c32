/* Requests that a worker carries out by its backend, on either of them. */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "executor/entry.h"
#include "kernel/event.h"
#include "kernel/processor.h"

#include "../thread/suite.h"
#include "operation.h"
#include "pipe_operation.h"

/* --- one at a time ---------------------------------------------------------------------------- */

START_TEST(a_task_whose_request_waits_leaves_its_worker_to_others)
{
    char buffer[6] = "";
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    fx_future *reader = submit(pool, read_pipe, buffer);
    ck_assert_int_eq((intptr_t)run_in(pool, write_pipe, "hello"), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), 5);
    ck_assert_str_eq(buffer, "hello");
    close_pipe();
    end_pool(pool);
}
END_TEST

START_TEST(what_comes_from_outside_wakes_a_worker_that_sleeps_in_its_backend)
{
    char buffer[6] = "";
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    fx_future *reader = submit(pool, read_pipe, buffer);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    ck_assert_int_eq(write(pipes[1], "hello", 5), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), 5);
    close_pipe();
    end_pool(pool);
}
END_TEST

static void *return_it(void *arg)
{
    return arg;
}

START_TEST(so_does_a_task_and_a_wake_of_a_task)
{
    char buffer[6] = "";
    fx_event event = { 0 };
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    fx_future *reader = submit(pool, read_pipe, buffer);
    fx_future *waiter = submit(pool, (fx_target)(void (*)(void))fx_event_wait, &event);
    for (int i = 0; i < 100; i++) {
        await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
        ck_assert_ptr_eq(run_in(pool, return_it, &pool), &pool);
    }
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    fx_event_set(&event);
    result_of(waiter);
    ck_assert_int_eq((intptr_t)run_in(pool, write_pipe, "hello"), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), 5);
    close_pipe();
    end_pool(pool);
}
END_TEST

static void *sleep_for(void *arg)
{
    fx_sleep(FX_MSEC(20));
    return arg;
}

START_TEST(and_an_alarm)
{
    char buffer[6] = "";
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    fx_future *reader = submit(pool, read_pipe, buffer);
    ck_assert_ptr_eq(run_in(pool, sleep_for, &pool), &pool);
    ck_assert_int_eq(write(pipes[1], "hello", 5), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), 5);
    close_pipe();
    end_pool(pool);
}
END_TEST

START_TEST(a_worker_with_a_request_in_flight_does_not_end)
{
    char buffer[6] = "";
    fx_executor *pool = impatient_pool_on(_i, 1, FX_MSEC(1));
    make_pipe();
    fx_future *reader = submit(pool, read_pipe, buffer);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_MSEC(20), true), -ETIMEDOUT);
    ck_assert_int_eq(write(pipes[1], "hello", 5), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), 5);
    close_pipe();
    end_pool(pool);
}
END_TEST

/* --- each kind -------------------------------------------------------------------------------- */

static char directory[] = "/tmp/check_request.XXXXXX", path[64];

static void make_file(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
}

static void remove_file(void)
{
    unlink(path);
    rmdir(directory);
}

/* Every expectation is of the kind "returned what it should": the test's thread asserts in end_pool. */
static void *use_a_file(void *arg)
{
    char text[8] = "", more[8] = "";
    struct iovec out[] = { { "ab", 2 }, { "cde", 3 } }, in[] = { { text, 1 }, { more, 4 } };
    struct statx status;
    OPERATION(open, openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int fd = operation_run(&open);
    expect_int(fd, >=, 0);
    OPERATION(write, writev, fd, out, 2, 0);
    expect_int(operation_run(&write), ==, 5);
    OPERATION(overwrite, write, fd, "xyz", 3, 5);
    expect_int(operation_run(&overwrite), ==, 3);
    OPERATION(sync, fsync, fd, IORING_FSYNC_DATASYNC);
    expect_int(operation_run(&sync), ==, 0);
    OPERATION(stat, statx, AT_FDCWD, path, 0, STATX_SIZE, &status);
    expect_int(operation_run(&stat), ==, 0);
    expect_int(status.stx_size, ==, 8);
    OPERATION(read, readv, fd, in, 2, 3);
    expect_int(operation_run(&read), ==, 5);
    expect(memcmp(text, "d", 1) == 0 && memcmp(more, "exyz", 4) == 0);
    OPERATION(at_end, read, fd, text, 8, 8);
    expect_int(operation_run(&at_end), ==, 0);
    OPERATION(short_read, read, fd, text, 8, 6);
    expect_int(operation_run(&short_read), ==, 2);
    OPERATION(at_position, read, fd, text, 3, -1);
    expect_int(operation_run(&at_position), ==, 3);
    OPERATION(next, read, fd, text, 5, -1);
    expect_int(operation_run(&next), ==, 5);
    OPERATION(move, splice, fd, 0, pipes[1], -1, 8, 0);
    expect_int(operation_run(&move), ==, 8);
    OPERATION(close, close, fd);
    expect_int(operation_run(&close), ==, 0);
    OPERATION(again, close, fd);
    expect_int(operation_run(&again), ==, -EBADF);
    OPERATION(missing, openat, AT_FDCWD, "/nowhere/at/all", O_RDONLY, 0);
    expect_int(operation_run(&missing), ==, -ENOENT);
    return arg;
}

START_TEST(files_are_opened_written_read_and_closed)
{
    char text[9] = "";
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    make_file();
    run_in(pool, use_a_file, NULL);
    ck_assert_int_eq(read(pipes[0], text, 8), 8);
    ck_assert_str_eq(text, "abcdexyz");
    remove_file();
    close_pipe();
    end_pool(pool);
}
END_TEST

static struct sockaddr_in address;
static int listener;

static void listen_on_loopback(int flags)
{
    socklen_t length = sizeof address;
    address = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 64), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
}

static void *serve(void *arg)
{
    char text[6] = "";
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    OPERATION(accept, accept, listener, (struct sockaddr *)&from, &length, SOCK_CLOEXEC);
    int fd = operation_run(&accept);
    expect_int(fd, >=, 0);
    expect_int(from.sin_family, ==, AF_INET);
    OPERATION(receive, recv, fd, text, 5, MSG_WAITALL);
    expect_int(operation_run(&receive), ==, 5);
    expect(memcmp(text, "hello", 5) == 0);
    OPERATION(send, send, fd, "world", 5, 0);
    expect_int(operation_run(&send), ==, 5);
    OPERATION(end, recv, fd, text, 5, 0);
    expect_int(operation_run(&end), ==, 0);
    close(fd);
    return arg;
}

static void *be_client(void *arg)
{
    char text[6] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (int)(intptr_t)arg, 0);
    OPERATION(connect, connect, fd, (struct sockaddr *)&address, sizeof address);
    expect_int(operation_run(&connect), ==, 0);
    OPERATION(send, send, fd, "he", 2, 0);
    expect_int(operation_run(&send), ==, 2);
    fx_sleep(FX_MSEC(1));
    OPERATION(rest, send, fd, "llo", 3, 0);
    expect_int(operation_run(&rest), ==, 3);
    OPERATION(receive, recv, fd, text, 5, MSG_WAITALL);
    expect_int(operation_run(&receive), ==, 5);
    expect(memcmp(text, "world", 5) == 0);
    close(fd);
    return NULL;
}

static void exchange_over_loopback(int backend, int flags)
{
    fx_executor *pool = pool_on(backend, 1);
    listen_on_loopback(flags);
    fx_future *server = submit(pool, serve, NULL);
    run_in(pool, be_client, (void *)(intptr_t)flags);
    result_of(server);
    close(listener);
    end_pool(pool);
}

START_TEST(sockets_accept_connect_send_and_receive)
{
    exchange_over_loopback(_i, 0);
}
END_TEST

START_TEST(they_wait_where_the_descriptor_would_not)
{
    exchange_over_loopback(_i, SOCK_NONBLOCK);
}
END_TEST

START_TEST(each_connection_is_accepted_by_one)
{
    enum { CLIENTS = 20 };
    fx_future *servers[CLIENTS], *clients[CLIENTS];
    fx_executor *pool = pool_on(_i, 2);
    listen_on_loopback(0);
    for (int i = 0; i < CLIENTS; i++)
        servers[i] = submit(pool, serve, NULL);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = submit(pool, be_client, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        result_of(servers[i]);
        result_of(clients[i]);
    }
    close(listener);
    end_pool(pool);
}
END_TEST

static void *accept_one(void *arg)
{
    OPERATION(accept, accept, listener, NULL, NULL, SOCK_CLOEXEC);
    int fd = operation_run(&accept);
    if (fd >= 0)
        close(fd);
    return arg;
}

static int helpers(void)
{
    char comm[64], name[32];
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        snprintf(comm, sizeof comm, "/proc/self/task/%.20s/comm", entry->d_name);
        FILE *file = fopen(comm, "re");
        count += file && fgets(name, sizeof name, file) && strcmp(name, "Helper\n") == 0;
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return count;
}

START_TEST(one_connection_takes_one_helper_however_many_wait_for_it)
{
    enum { SERVERS = 20 };
    fx_future *servers[SERVERS];
    fx_executor *pool = pool_on(ON_EPOLL, 1);
    listen_on_loopback(0);
    for (int i = 0; i < SERVERS; i++)
        servers[i] = submit(pool, accept_one, NULL);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    ck_assert_int_eq(helpers(), 0);
    for (int i = 0; i < SERVERS; i++) {
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
        result_of(servers[i]); /* the oldest is the first */
        ck_assert(i > 0 || helpers() == 1);
        close(client);
    }
    close(listener);
    end_pool(pool);
    await(helpers() == 0);
}
END_TEST

static void *fail_with_sockets(void *arg)
{
    int sockets[2];
    expect_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), ==, 0);
    OPERATION(of_connected, accept, sockets[0], NULL, NULL, 0);
    expect_int(operation_run(&of_connected), ==, -EINVAL);
    OPERATION(of_pipe, accept, pipes[0], NULL, NULL, 0);
    expect_int(operation_run(&of_pipe), ==, -ENOTSOCK);
    OPERATION(from_pipe, recv, pipes[0], sockets, 1, 0);
    expect_int(operation_run(&from_pipe), ==, -ENOTSOCK);
    close(sockets[1]);
    OPERATION(to_nobody, send, sockets[0], "x", 1, 0);
    expect_int(operation_run(&to_nobody), ==, -EPIPE); /* and no SIGPIPE */
    close(sockets[0]);
    OPERATION(refused, connect, listener, (struct sockaddr *)&address, sizeof address);
    expect(operation_run(&refused) < 0);
    return arg;
}

START_TEST(what_sockets_refuse_is_told_at_once)
{
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    listen_on_loopback(0);
    run_in(pool, fail_with_sockets, NULL);
    close(listener);
    close_pipe();
    end_pool(pool);
}
END_TEST

/* The read waits for the first pipe, which keeps another descriptor, while its own becomes the second's. */
START_TEST(epoll_reads_from_no_other_file_that_got_the_descriptors_number)
{
    char buffer[6] = "";
    int others[2];
    fx_executor *pool = pool_on(ON_EPOLL, 1);
    make_pipe();
    ck_assert_int_eq(pipe2(others, O_CLOEXEC), 0);
    fx_future *reader = submit(pool, read_pipe, buffer);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    int kept = dup(pipes[0]);
    ck_assert_int_eq(dup2(others[0], pipes[0]), pipes[0]);
    ck_assert_int_eq(write(others[1], "other", 5), 5);
    ck_assert_int_eq(write(pipes[1], "hello", 5), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), -EBADF);
    ck_assert_int_eq((intptr_t)run_in(pool, read_pipe, buffer), 5);
    ck_assert_str_eq(buffer, "other");
    close(kept);
    close(others[0]);
    close(others[1]);
    close_pipe();
    end_pool(pool);
}
END_TEST

static void *poll_pipe(void *arg)
{
    OPERATION(poll, poll_add, pipes[0], POLLIN);
    expect_int(operation_run(&poll), ==, POLLIN);
    OPERATION(writable, poll_add, pipes[1], POLLIN | POLLOUT);
    expect_int(operation_run(&writable), ==, POLLOUT);
    struct operation nothing = { .request.entry.opcode = IORING_OP_NOP };
    expect_int(operation_run(&nothing), ==, 0);
    OPERATION(bad, poll_add, 100000, POLLIN);
    expect_int(operation_run(&bad), ==, -EBADF);
    OPERATION(none, read, -1, &bad, 1, 0);
    expect_int(operation_run(&none), ==, -EBADF);
    OPERATION(no_listener, accept, -1, NULL, NULL, 0);
    expect_int(operation_run(&no_listener), ==, -EBADF);
    return arg;
}

START_TEST(a_poll_tells_which_events_there_are)
{
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    fx_future *poller = submit(pool, poll_pipe, NULL);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    ck_assert_int_eq(write(pipes[1], "x", 1), 1);
    result_of(poller);
    close_pipe();
    end_pool(pool);
}
END_TEST

static void *want_the_impossible(void *arg)
{
    struct operation operation = { 0 };
    operation.request.entry.opcode = IORING_OP_EPOLL_CTL;
    expect_int(operation_begin(&operation), ==, -ENOTSUP);
    return arg;
}

START_TEST(epoll_knows_what_it_cannot_do)
{
    fx_executor *pool = pool_on(ON_EPOLL, 1);
    ck_assert(!fxi_request_is_possible(FX_BACKEND_EPOLL, IORING_OP_EPOLL_CTL));
    ck_assert(fxi_request_is_possible(FX_BACKEND_EPOLL, IORING_OP_READ));
    ck_assert(fxi_request_is_possible(FX_BACKEND_URING, IORING_OP_EPOLL_CTL));
    run_in(pool, want_the_impossible, NULL);
    end_pool(pool);
}
END_TEST

/* A pipe that is opened from one side only: both wait in open(2). */
static void *open_fifo(void *arg)
{
    struct operation open = { 0 };
    open.request.entry = fxi_entry_openat(AT_FDCWD, path, (int)(intptr_t)arg | O_CLOEXEC, 0);
    return (void *)(intptr_t)operation_run(&open);
}

START_TEST(calls_that_wait_for_each_other_go_on)
{
    fx_executor *pool = pool_on(_i, 1);
    make_file();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    fx_future *reader = submit(pool, open_fifo, (void *)(intptr_t)O_RDONLY);
    fx_future *writer = submit(pool, open_fifo, (void *)(intptr_t)O_WRONLY);
    int out = (int)(intptr_t)result_of(writer), in = (int)(intptr_t)result_of(reader);
    ck_assert_int_ge(in, 0);
    ck_assert_int_ge(out, 0);
    close(in);
    close(out);
    remove_file();
    end_pool(pool);
}
END_TEST

/* --- cancels ---------------------------------------------------------------------------------- */

static void *cancel_one(void *arg)
{
    struct operation *operation = arg;
    fxi_request_cancel(&operation->request);
    fxi_request_cancel(&operation->request);
    return NULL;
}

static void *run_it(void *arg)
{
    return (void *)(intptr_t)operation_run(arg);
}

/* Begun by one task, cancelled by another one of the same worker. */
static int32_t result_of_cancelled(fx_executor *pool, struct operation *operation)
{
    struct fxi_worker *worker = &fxi_pool_of(pool)->workers[0];
    fx_future *future = submit(pool, run_it, operation);
    await(fxi_worker_is_asleep(worker));
    run_in(pool, cancel_one, operation);
    return (int32_t)(intptr_t)result_of(future);
}

START_TEST(a_cancelled_request_has_had_no_effect)
{
    char byte;
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    listen_on_loopback(0);
    make_file();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    OPERATION(read, read, pipes[0], &byte, 1, -1);
    ck_assert_int_eq(result_of_cancelled(pool, &read), -ECANCELED);
    OPERATION(poll, poll_add, pipes[0], POLLIN);
    ck_assert_int_eq(result_of_cancelled(pool, &poll), -ECANCELED);
    OPERATION(accept, accept, listener, NULL, NULL, 0);
    ck_assert_int_eq(result_of_cancelled(pool, &accept), -ECANCELED);
    struct operation open = { 0 };
    open.request.entry = fxi_entry_openat(AT_FDCWD, path, O_RDONLY, 0);
    ck_assert_int_eq(result_of_cancelled(pool, &open), -ECANCELED);
    ck_assert_int_eq(write(pipes[1], "x", 1), 1);
    ck_assert_int_eq((intptr_t)run_in(pool, run_it, &read), 1);
    ck_assert_int_eq(byte, 'x');
    remove_file();
    close(listener);
    close_pipe();
    end_pool(pool);
}
END_TEST

START_TEST(one_that_had_some_effect_tells_of_it)
{
    int sockets[2];
    char text[8];
    fx_executor *pool = pool_on(_i, 1);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    ck_assert_int_eq(send(sockets[1], "abc", 3, 0), 3);
    OPERATION(receive, recv, sockets[0], text, 8, MSG_WAITALL);
    ck_assert_int_eq(result_of_cancelled(pool, &receive), 3);
    close(sockets[0]);
    close(sockets[1]);
    end_pool(pool);
}
END_TEST

static void *receive_to_the_end(void *arg)
{
    const int *sockets = arg;
    char text[8];
    OPERATION(receive, recv, sockets[0], text, 8, MSG_WAITALL);
    expect_int(operation_begin(&receive), ==, 0);
    for (int i = 0; i < 3; i++) {
        expect_int(send(sockets[1], "ab", 2, 0), ==, 2);
        fx_sleep(FX_MSEC(1));
    }
    shutdown(sockets[1], SHUT_WR);
    expect_int(operation_wait(&receive), ==, 6);
    expect(memcmp(text, "ababab", 6) == 0);
    return NULL;
}

START_TEST(one_for_all_bytes_ends_with_fewer_at_the_end_of_the_stream)
{
    int sockets[2];
    fx_executor *pool = pool_on(_i, 1);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    run_in(pool, receive_to_the_end, sockets);
    close(sockets[0]);
    close(sockets[1]);
    end_pool(pool);
}
END_TEST

/* Reads of one byte at a time that are cancelled at any moment: none is lost, none read twice. */
enum { BYTES = 2000 };

static void *read_and_cancel(void *arg)
{
    int *seed = arg, got = 0;
    while (got < scaled(BYTES)) {
        unsigned char byte;
        OPERATION(read, read, pipes[0], &byte, 1, -1);
        expect_int(operation_begin(&read), ==, 0);
        for (int i = rand_r((unsigned *)seed) % 3; i > 0; i--)
            fx_yield();
        if (operation_is_on(&read))
            fxi_request_cancel(&read.request);
        int32_t rc = operation_wait(&read);
        expect(rc == 1 || rc == -ECANCELED);
        if (rc == 1)
            expect_int(byte, ==, got++ & 255);
    }
    return arg;
}

START_TEST(a_cancel_that_meets_the_completion_loses_nothing)
{
    int seed = 1;
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    fx_future *reader = submit(pool, read_and_cancel, &seed);
    for (int i = 0; i < scaled(BYTES); i++) {
        unsigned char byte = i & 255;
        ck_assert_int_eq(write(pipes[1], &byte, 1), 1);
        if (i % 7 == 0)
            sched_yield();
    }
    result_of(reader);
    close_pipe();
    end_pool(pool);
}
END_TEST

/* Of opens that wait for a writer, which a thread of the kernel's, or a helper, is about to begin. */
static void *open_and_cancel(void *arg)
{
    for (int i = 0; i < scaled(1000); i++) {
        struct operation open = { 0 };
        open.request.entry = fxi_entry_openat(AT_FDCWD, path, O_RDONLY, 0);
        expect_int(operation_begin(&open), ==, 0);
        fxi_requests_flush(fxi_worker_self);
        for (int j = rand_r(arg) % 2000; j > 0; j--)
            fxi_cpu_relax();
        fxi_request_cancel(&open.request);
        expect_int(operation_wait(&open), ==, -ECANCELED);
    }
    return arg;
}

static struct sockaddr_un crowded;
static socklen_t crowded_length;

/* The same of connections to a listener that has as many as it takes already. */
static void *connect_and_cancel(void *arg)
{
    for (int i = 0; i < scaled(1000); i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        OPERATION(connect, connect, fd, (struct sockaddr *)&crowded, crowded_length);
        expect_int(operation_begin(&connect), ==, 0);
        fxi_requests_flush(fxi_worker_self);
        for (int j = rand_r(arg) % 2000; j > 0; j--)
            fxi_cpu_relax();
        fxi_request_cancel(&connect.request);
        expect_int(operation_wait(&connect), ==, -ECANCELED);
        close(fd);
    }
    return arg;
}

static int listen_and_fill(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
    crowded.sun_family = AF_UNIX;
    crowded_length = sizeof crowded;
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&crowded, sizeof(sa_family_t)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&crowded, &crowded_length), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    do
        client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    while (connect(client, (struct sockaddr *)&crowded, crowded_length) == 0);
    close(client);
    return fd;
}

START_TEST(a_cancel_finds_its_request_wherever_it_is)
{
    unsigned seed = 1;
    fx_executor *pool = pool_on(_i, 1);
    make_file();
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int fd = listen_and_fill();
    run_in(pool, open_and_cancel, &seed);
    run_in(pool, connect_and_cancel, &seed);
    close(fd);
    remove_file();
    end_pool(pool);
}
END_TEST

/* --- many at a time --------------------------------------------------------------------------- */

enum { POLLS = 10000 };

static atomic_int begun_polls, polls_over;
static int event;

static void poll_over(struct fxi_request *request, int32_t result)
{
    expect_int(result, ==, (intptr_t)(request->is_cancelled ? -ECANCELED : POLLIN));
    atomic_fetch_add(&polls_over, 1);
}

static struct fxi_request *polls;

static void *begin_polls(void *arg)
{
    for (int i = 0; i < POLLS; i++) {
        io_uring_prep_poll_add(&polls[i].entry, event, POLLIN);
        polls[i].complete = poll_over;
        expect_int(fxi_request_begin(fxi_worker_self, &polls[i]), ==, 0);
        atomic_fetch_add(&begun_polls, 1);
    }
    return arg;
}

static void *cancel_odd_ones(void *arg)
{
    for (int i = 1; i < POLLS; i += 2)
        fxi_request_cancel(&polls[i]);
    return arg;
}

static void begin_all_polls(fx_executor *pool)
{
    polls = calloc(POLLS, sizeof *polls);
    ck_assert_ptr_nonnull(polls);
    event = eventfd(0, EFD_CLOEXEC);
    ck_assert_int_ge(event, 0);
    run_in(pool, begin_polls, NULL);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    ck_assert_int_eq(atomic_load(&polls_over), 0);
}

static void end_all_polls(fx_executor *pool)
{
    await(atomic_load(&polls_over) == POLLS);
    end_pool(pool);
    close(event);
    free(polls);
}

START_TEST(ten_thousand_that_complete_at_once_do)
{
    fx_executor *pool = pool_on(_i, 1);
    begin_all_polls(pool);
    ck_assert_int_eq(eventfd_write(event, 1), 0);
    end_all_polls(pool);
}
END_TEST

START_TEST(so_do_those_of_them_that_are_not_cancelled)
{
    fx_executor *pool = pool_on(_i, 1);
    begin_all_polls(pool);
    run_in(pool, cancel_odd_ones, NULL);
    await(atomic_load(&polls_over) == POLLS / 2);
    ck_assert_int_eq(eventfd_write(event, 1), 0);
    end_all_polls(pool);
}
END_TEST

static void *cancel_futures(void *arg)
{
    for (int i = 0; i < POLLS; i += 4)
        polls[i].is_of_future = true;
    fxi_requests_cancel_futures(fxi_worker_self);
    return arg;
}

/* All complete in the same call of the kernel's in which the event is told, for which there may be no
 * room. */
static void *overflow(void *arg)
{
    struct fxi_worker *worker = fxi_worker_self;
    expect_int(eventfd_write(event, 1), ==, 0);
    fxi_event_set(worker->event);
    return arg;
}

START_TEST(the_worker_is_woken_even_after_an_overflow)
{
    char buffer[6] = "";
    fx_executor *pool = pool_on(_i, 1);
    make_pipe();
    begin_all_polls(pool);
    fx_future *reader = submit(pool, read_pipe, buffer);
    await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
    run_in(pool, overflow, NULL);
    await(atomic_load(&polls_over) == POLLS);
    for (int i = 0; i < 3; i++) {
        await(fxi_worker_is_asleep(&fxi_pool_of(pool)->workers[0]));
        ck_assert_ptr_eq(run_in(pool, return_it, &pool), &pool);
    }
    ck_assert_int_eq((intptr_t)run_in(pool, write_pipe, "hello"), 5);
    result_of(reader);
    end_all_polls(pool);
    close_pipe();
}
END_TEST

START_TEST(those_of_futures_are_cancelled_together)
{
    fx_executor *pool = pool_on(_i, 1);
    begin_all_polls(pool);
    run_in(pool, cancel_futures, NULL);
    await(atomic_load(&polls_over) == POLLS / 4);
    ck_assert_int_eq(eventfd_write(event, 1), 0);
    end_all_polls(pool);
}
END_TEST

/* --- what is left behind ---------------------------------------------------------------------- */

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1000; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

START_TEST(a_pool_that_has_ended_leaves_no_descriptor_open)
{
    make_pipe();
    make_file();
    int before = open_descriptors();
    for (int i = 0; i < 20; i++) {
        char buffer[6] = "";
        fx_executor *pool = pool_on(_i, 2);
        fx_future *reader = submit(pool, read_pipe, buffer);
        run_in(pool, write_pipe, "hello");
        result_of(reader);
        end_pool(pool);
    }
    await(open_descriptors() == before);
    remove_file();
    close_pipe();
}
END_TEST

static void *use_a_path(void *arg)
{
    struct statx status;
    OPERATION(stat, statx, AT_FDCWD, "/", 0, STATX_SIZE, &status);
    expect_int(operation_run(&stat), ==, 0);
    return arg;
}

START_TEST(a_worker_that_was_idle_for_long_closes_its_backend_and_the_next_opens_one)
{
    int before = open_descriptors();
    fx_executor *pool = impatient_pool_on(_i, 1, FX_MSEC(1));
    for (int i = 0; i < 10; i++) {
        char buffer[6] = "";
        make_pipe();
        fx_future *reader = submit(pool, read_pipe, buffer);
        run_in(pool, write_pipe, "hello");
        ck_assert_int_eq((intptr_t)result_of(reader), 5);
        close_pipe();
        await(open_descriptors() == before);
    }
    end_pool(pool);
}
END_TEST

static int rings_in_memory(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps))
        count += strstr(line, "io_uring") != NULL;
    fclose(maps);
    return count;
}

START_TEST(nor_does_it_leave_memory)
{
    fx_executor *pool = pool_on(ON_URING, 1);
    run_in(pool, use_a_path, NULL);
    ck_assert_int_gt(rings_in_memory(), 0);
    end_pool(pool);
    ck_assert_int_eq(rings_in_memory(), 0);
}
END_TEST

/* --- the event -------------------------------------------------------------------------------- */

/* Workers end the moment that they have nothing to do, and others wake them at just that moment. Each
 * time the numbers of their descriptors are given to events of the test's, which nobody is to set. */
enum { ROUNDS = 300, WITNESSES = 8 };

static void *wait_for_event(void *arg)
{
    fx_event *set = arg;
    return (void *)(intptr_t)fx_event_wait(set);
}

START_TEST(whoever_wakes_a_worker_that_ends_sets_no_other_descriptor)
{
    for (int round = 0; round < scaled(ROUNDS); round++) {
        fx_event set = { 0 };
        char buffer[6] = "";
        int witnesses[WITNESSES];
        make_pipe();
        fx_executor *pool = pool_on(_i, 1);
        fx_future *reader = submit(pool, read_pipe, buffer);
        fx_future *waiter = submit(pool, wait_for_event, &set);
        ck_assert_int_eq(write(pipes[1], "hello", 5), 5);
        fx_executor_shutdown(pool, false, false);
        fx_event_set(&set);
        result_of(waiter);
        result_of(reader);
        end_pool(pool);
        for (int i = 0; i < WITNESSES; i++)
            witnesses[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        for (int i = 0; i < WITNESSES; i++) {
            eventfd_t value;
            ck_assert_int_eq(eventfd_read(witnesses[i], &value), -1);
            close(witnesses[i]);
        }
        close_pipe();
    }
}
END_TEST

START_TEST(a_worker_does_not_end_before_they_have_done_so)
{
    char buffer[6] = "";
    fx_executor *pool = pool_on(_i, 1);
    struct fxi_worker *worker = &fxi_pool_of(pool)->workers[0];
    make_pipe();
    fx_future *reader = submit(pool, read_pipe, buffer);
    ck_assert_int_eq((intptr_t)run_in(pool, write_pipe, "hello"), 5);
    ck_assert_int_eq((intptr_t)result_of(reader), 5);
    fxi_add_relaxed(&worker->wakers, 1u); /* as one who is about to set the event */
    ck_assert_int_eq(fx_executor_shutdown_for(pool, FX_MSEC(20), false), -ETIMEDOUT);
    fxi_event_set(worker->event);
    fxi_sub_acq_rel(&worker->wakers, 1u);
    end_pool(pool);
    close_pipe();
}
END_TEST

/* --- who goes first --------------------------------------------------------------------------- */

static fx_event go;
static atomic_int bytes_came;
static int pair[2];

/* Asks whether the byte has come while it computes. */
static void *compute_until_it_comes(void *arg)
{
    struct pollfd descriptor = { .fd = pair[0], .events = POLLIN };
    fx_event_wait(&go);
    while (poll(&descriptor, 1, 1000) == 0)
        ;
    atomic_fetch_add(&bytes_came, 1);
    return arg;
}

static void *send_before_another_computes(void *arg)
{
    fx_event_wait(&go);
    OPERATION(send, send, pair[1], "x", 1, 0);
    expect_int(operation_run(&send), ==, 1);
    return arg;
}

/* In the worker's own thread: so both are ready before one of them goes on. */
static void *let_go(void *arg)
{
    fx_event_set(&go);
    return arg;
}

START_TEST(a_request_does_not_wait_for_a_task_that_computes)
{
    fx_executor *pool = pool_on(_i, 1);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fx_future *first = submit(pool, send_before_another_computes, NULL);
    fx_future *second = submit(pool, compute_until_it_comes, NULL);
    run_in(pool, let_go, NULL);
    result_of(first);
    result_of(second);
    await(atomic_load(&bytes_came) == 1);
    close(pair[0]);
    close(pair[1]);
    end_pool(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, a_task_whose_request_waits_leaves_its_worker_to_others, 0, BACKENDS);
    tcase_add_loop_test(tests, what_comes_from_outside_wakes_a_worker_that_sleeps_in_its_backend, 0,
                        BACKENDS);
    tcase_add_loop_test(tests, so_does_a_task_and_a_wake_of_a_task, 0, BACKENDS);
    tcase_add_loop_test(tests, and_an_alarm, 0, BACKENDS);
    tcase_add_loop_test(tests, a_worker_with_a_request_in_flight_does_not_end, 0, BACKENDS);
    tcase_add_loop_test(tests, files_are_opened_written_read_and_closed, 0, BACKENDS);
    tcase_add_loop_test(tests, sockets_accept_connect_send_and_receive, 0, BACKENDS);
    tcase_add_loop_test(tests, they_wait_where_the_descriptor_would_not, 0, BACKENDS);
    tcase_add_loop_test(tests, each_connection_is_accepted_by_one, 0, BACKENDS);
    tcase_add_test(tests, one_connection_takes_one_helper_however_many_wait_for_it);
    tcase_add_loop_test(tests, what_sockets_refuse_is_told_at_once, 0, BACKENDS);
    tcase_add_test(tests, epoll_reads_from_no_other_file_that_got_the_descriptors_number);
    tcase_add_loop_test(tests, a_poll_tells_which_events_there_are, 0, BACKENDS);
    tcase_add_test(tests, epoll_knows_what_it_cannot_do);
    tcase_add_loop_test(tests, calls_that_wait_for_each_other_go_on, 0, BACKENDS);
    tcase_add_loop_test(tests, a_cancelled_request_has_had_no_effect, 0, BACKENDS);
    tcase_add_loop_test(tests, one_that_had_some_effect_tells_of_it, 0, BACKENDS);
    tcase_add_loop_test(tests, one_for_all_bytes_ends_with_fewer_at_the_end_of_the_stream, 0,
                        BACKENDS);
    tcase_add_loop_test(tests, a_cancel_that_meets_the_completion_loses_nothing, 0, BACKENDS);
    tcase_add_loop_test(tests, a_cancel_finds_its_request_wherever_it_is, 0, BACKENDS);
    tcase_add_loop_test(tests, ten_thousand_that_complete_at_once_do, 0, BACKENDS);
    tcase_add_loop_test(tests, so_do_those_of_them_that_are_not_cancelled, 0, BACKENDS);
    tcase_add_loop_test(tests, the_worker_is_woken_even_after_an_overflow, 0, BACKENDS);
    tcase_add_loop_test(tests, those_of_futures_are_cancelled_together, 0, BACKENDS);
    tcase_add_loop_test(tests, a_pool_that_has_ended_leaves_no_descriptor_open, 0, BACKENDS);
    tcase_add_test(tests, nor_does_it_leave_memory);
    tcase_add_loop_test(tests,
                        a_worker_that_was_idle_for_long_closes_its_backend_and_the_next_opens_one,
                        0, BACKENDS);
    tcase_add_loop_test(tests, whoever_wakes_a_worker_that_ends_sets_no_other_descriptor, 0,
                        BACKENDS);
    tcase_add_loop_test(tests, a_worker_does_not_end_before_they_have_done_so, 0, BACKENDS);
    tcase_add_loop_test(tests, a_request_does_not_wait_for_a_task_that_computes, 0, BACKENDS);
}

int main(void)
{
    return run_suite("request", add_tests);
}
