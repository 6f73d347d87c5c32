/* I/O in line: each operation, in each kind of context. */
#include <signal.h>

#include "io_contexts.h"
#include "io_kinds.h"

#include "../thread/suite.h"

/* --- what does not wait ----------------------------------------------------------------------- */

static void *use_a_file(void *arg)
{
    char name[] = "/tmp/fxthread-line-XXXXXX", buf[64], other[36];
    struct iovec parts[] = { { buf, 10 }, { other, 36 } };
    struct statx about;
    close(mkstemp(name));
    errno = 77;
    int fd = fx_openat(AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
    expect_int(fd, >=, 0);
    expect_int(fx_write(fd, "0123456789abcdefghijklmnopqrstuvwxyz", 36, -1), ==, 36);
    expect_int(fx_writev(fd, &(struct iovec){ "ABCDEFGHIJ", 10 }, 1, 36), ==, 10);
    expect_int(fx_fsync(fd, false), ==, 0);
    expect_int(fx_fsync(fd, true), ==, 0);
    expect_int(fx_read(fd, buf, 6, 10), ==, 6);
    expect(memcmp(buf, "abcdef", 6) == 0);
    expect_int(fx_read(fd, buf, 64, -1), ==, 10); /* what follows the write's end */
    expect_int(fx_read(fd, buf, 64, -1), ==, 0);
    expect_int(fx_read(fd, buf, 64, 40), ==, 6);
    expect_int(fx_readv(fd, parts, 2, 2), ==, 44);
    expect(memcmp(buf, "23456789ab", 10) == 0 && memcmp(other, "cdefghij", 8) == 0);
    expect_int(fx_read(fd, buf, 0, 0), ==, 0);
    expect_int(fx_statx(AT_FDCWD, name, 0, STATX_SIZE, &about), ==, 0);
    expect_int(about.stx_size, ==, 46);
    expect_int(fx_poll(fd, POLLIN | POLLOUT), ==, POLLIN | POLLOUT);
    expect_int(fx_close(fd), ==, 0);
    expect_int(errno, ==, 77);
    unlink(name);
    return arg;
}

START_TEST(a_file_is_used_as_by_plain_calls)
{
    run_as(_i, use_a_file, NULL);
}
END_TEST

static void *read_a_large_file(void *arg)
{
    enum { SIZE = 3 << 20 };
    int fd = *(int *)arg;
    char *buf = malloc(SIZE + 1);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* some, at least, has to be fetched */
    expect_int(fx_read(fd, buf, SIZE + 1, 0), ==, SIZE);
    expect(is_of_file(buf, SIZE, 0));
    expect_int(fx_read(fd, buf, SIZE, -1), ==, SIZE);
    expect_int(fx_read(fd, buf, SIZE, -1), ==, 0);
    free(buf);
    return NULL;
}

START_TEST(a_file_that_is_not_in_memory_is_read_to_the_end)
{
    int fd = io_file(3 << 20);
    fdatasync(fd);
    run_as(_i, read_a_large_file, &fd);
    close(fd);
}
END_TEST

static void *use_a_closed_one(void *arg)
{
    int bad = fcntl(0, F_DUPFD, 900), ends[2];
    char buf[4] = "";
    struct iovec part = { buf, 4 };
    struct sockaddr_in address = { .sin_family = AF_INET };
    struct statx about;
    close(bad);
    errno = 77;
    expect_int(fx_read(bad, buf, 4, 0), ==, -EBADF);
    expect_int(fx_write(bad, buf, 4, -1), ==, -EBADF);
    expect_int(fx_readv(bad, &part, 1, -1), ==, -EBADF);
    expect_int(fx_writev(bad, &part, 1, 0), ==, -EBADF);
    expect_int(fx_recv(bad, buf, 4, 0), ==, -EBADF);
    expect_int(fx_send(bad, buf, 4, 0), ==, -EBADF);
    expect_int(fx_accept(bad, NULL, NULL, 0), ==, -EBADF);
    expect_int(fx_connect(bad, (struct sockaddr *)&address, sizeof address), ==, -EBADF);
    expect_int(fx_openat(bad, "x", O_RDONLY, 0), ==, -EBADF);
    expect_int(fx_fsync(bad, true), ==, -EBADF);
    expect_int(fx_statx(bad, "x", 0, STATX_SIZE, &about), ==, -EBADF);
    expect_int(fx_splice(bad, -1, bad, -1, 1, 0), ==, -EBADF);
    expect_int(fx_close(bad), ==, -EBADF);
    expect_int(fx_poll(bad, POLLIN), ==, -EBADF);
    expect_int(fx_poll(-1, POLLIN), ==, -EBADF);
    expect_int(fx_poll_for(bad, POLLIN, 0), ==, -EBADF);
    int file = io_file(10);
    expect_int(fx_readv(file, &part, -1, 0), ==, -EINVAL);
    close(file);
    expect_int(errno, ==, 77);
    io_pipe(ends);
    expect_int(fx_read(ends[0], buf, 4, 3), ==, -ESPIPE);
    close(ends[0]);
    expect_int(fx_write(ends[1], buf, 4, -1), ==, -EPIPE);
    close(ends[1]);
    return arg;
}

START_TEST(what_fails_says_its_errno_and_leaves_errno_alone)
{
    signal(SIGPIPE, SIG_IGN);
    run_as(_i, use_a_closed_one, NULL);
}
END_TEST

static void *use_non_blocking(void *arg)
{
    int ends[2];
    char buf[4];
    size_t room;
    struct sockaddr_in address;
    io_sockets(ends);
    set_non_blocking(ends[0], true);
    expect_int(fx_recv(ends[0], buf, 4, 0), ==, -EAGAIN);
    expect_int(fx_read(ends[0], buf, 4, -1), ==, -EAGAIN);
    expect_int(fx_recv_for(ends[0], buf, 4, 0, 0), ==, -EAGAIN);
    expect_int(fx_recv(ends[1], buf, 4, MSG_DONTWAIT), ==, -EAGAIN);
    expect_int(fx_poll_for(ends[0], POLLIN, 0), ==, -ETIMEDOUT);
    room = io_fill(ends[1]);
    set_non_blocking(ends[1], true);
    expect_int(fx_send(ends[1], buf, 4, 0), ==, -EAGAIN);
    expect_int(io_drain(ends[0]), ==, room);
    io_close(ends);
    int listener = io_listener(&address, 1);
    set_non_blocking(listener, true);
    expect_int(fx_accept(listener, NULL, NULL, 0), ==, -EAGAIN);
    close(listener);
    return arg;
}

START_TEST(a_descriptor_that_does_not_block_says_eagain)
{
    run_as(_i, use_non_blocking, NULL);
}
END_TEST

/* --- what waits ------------------------------------------------------------------------------- */

struct wait {
    const struct io_kind *kind;
    struct io_place place;
    fx_deadline deadline;
    int64_t result;
};

static void *wait_in_line(void *arg)
{
    struct wait *wait = arg;
    wait->result = wait->kind->in_line(&wait->place, wait->deadline);
    return NULL;
}

static void *satisfy_later(void *arg)
{
    struct wait *wait = arg;
    fx_sleep(FX_MSEC(3));
    wait->kind->satisfy(&wait->place);
    return NULL;
}

START_TEST(what_waits_goes_on_when_it_can)
{
    for (int i = 0; i < IO_KINDS; i++) {
        struct wait wait = { .kind = &io_kinds[i], .deadline = FX_FOREVER };
        wait.kind->set_up(&wait.place);
        fx_thread *other = fx_thread_spawn(satisfy_later, &wait);
        run_as(_i, wait_in_line, &wait);
        fx_thread_join(other, NULL);
        fx_thread_unref(other);
        ck_assert_msg(is_result_of(wait.kind, wait.result), "%s: %lld", wait.kind->name,
                      (long long)wait.result);
        place_end(&wait.place);
    }
}
END_TEST

static void *time_out(void *arg)
{
    struct wait *wait = arg;
    wait->deadline = fx_deadline_after(FX_MSEC(5));
    wait->result = wait->kind->in_line(&wait->place, wait->deadline);
    expect_int(fx_now(), >=, wait->deadline);
    if (wait->result == -ETIMEDOUT)
        wait->result = wait->kind->in_line(&wait->place, 1); /* long past */
    return NULL;
}

START_TEST(what_times_out_has_taken_nothing)
{
    for (int i = 0; i < IO_KINDS; i++) {
        struct wait wait = { .kind = &io_kinds[i] };
        wait.kind->set_up(&wait.place);
        run_as(_i, time_out, &wait);
        ck_assert_msg(wait.result == -ETIMEDOUT, "%s: %lld", wait.kind->name,
                      (long long)wait.result);
        ck_assert_msg(wait.kind->is_untouched(&wait.place), "%s", wait.kind->name);
        place_end(&wait.place);
    }
}
END_TEST

/* A deadline that is past lets through what need not wait. */
START_TEST(a_try_succeeds_where_nothing_has_to_be_waited_for)
{
    for (int i = 0; i < IO_KINDS; i++) {
        struct wait wait = { .kind = &io_kinds[i], .deadline = 1 };
        if (wait.kind->set_up == fifo_place)
            continue; /* nobody can be there before */
        wait.kind->set_up(&wait.place);
        wait.kind->satisfy(&wait.place);
        run_as(_i, wait_in_line, &wait);
        ck_assert_msg(is_result_of(wait.kind, wait.result), "%s: %lld", wait.kind->name,
                      (long long)wait.result);
        place_end(&wait.place);
    }
}
END_TEST

struct transfer {
    int ends[2];
    size_t size;
    char *data;
    bool in_parts;
};

static void *write_all(void *arg)
{
    struct transfer *transfer = arg;
    struct iovec parts[] = { { transfer->data, 5 }, { transfer->data + 5, 0 },
                             { transfer->data + 5, 100000 },
                             { transfer->data + 100005, transfer->size - 100005 } };
    ssize_t n = transfer->in_parts
                    ? fx_writev(transfer->ends[1], parts, 4, -1)
                    : fx_send(transfer->ends[1], transfer->data, transfer->size, 0);
    expect_int(n, ==, transfer->size);
    close(transfer->ends[1]);
    return NULL;
}

static void *read_all(void *arg)
{
    struct transfer *transfer = arg;
    unsigned char buf[7000];
    size_t at = 0;
    ssize_t n;
    while ((n = read(transfer->ends[0], buf, sizeof buf)) > 0) {
        expect(memcmp(buf, transfer->data + at, (size_t)n) == 0);
        at += (size_t)n;
    }
    expect_int(at, ==, transfer->size);
    return NULL;
}

START_TEST(a_stream_is_written_whole)
{
    struct transfer transfer = { .size = 1 << 20, .data = malloc(1 << 20) };
    for (size_t i = 0; i < transfer.size; i++)
        transfer.data[i] = (char)(i % 251);
    for (int i = 0; i < 2; i++) {
        transfer.in_parts = i == 1;
        io_sockets(transfer.ends);
        fx_thread *reader = fx_thread_spawn(read_all, &transfer);
        run_as(_i, write_all, &transfer);
        fx_thread_join(reader, NULL);
        fx_thread_unref(reader);
        close(transfer.ends[0]);
    }
    ck_assert_msg(!record_failure(), "%s", record_failure());
    free(transfer.data);
}
END_TEST

/* --- several at once, in tasks ---------------------------------------------------------------- */

static atomic_int served;

static void *echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[100];
    ssize_t n;
    while ((n = fx_recv(fd, buf, sizeof buf, 0)) > 0)
        expect_int(fx_send(fd, buf, (size_t)n, 0), ==, n);
    expect_int(n, ==, 0);
    expect_int(fx_close(fd), ==, 0);
    atomic_fetch_add(&served, 1);
    return NULL;
}

static void *talk(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[8];
    for (int i = 0; i < 20; i++) {
        expect_int(fx_send(fd, &i, sizeof i, 0), ==, sizeof i);
        expect_int(fx_recv(fd, buf, sizeof i, MSG_WAITALL), ==, sizeof i);
        expect(memcmp(buf, &i, sizeof i) == 0);
    }
    expect_int(fx_close(fd), ==, 0);
    return NULL;
}

START_TEST(many_tasks_wait_on_one_worker)
{
    enum { N = 50 };
    fx_executor *pool = io_pool(_i, 1);
    fx_future *tasks[2 * N];
    for (int i = 0; i < N; i++) {
        int ends[2];
        io_sockets(ends);
        tasks[2 * i] = submit(pool, echo, (void *)(intptr_t)ends[0]);
        tasks[2 * i + 1] = submit(pool, talk, (void *)(intptr_t)ends[1]);
    }
    ck_assert_int_eq(fx_wait(tasks, 2 * N, FX_SEC(await_limit()), FX_ALL_COMPLETED, NULL), 0);
    ck_assert_int_eq(atomic_load(&served), N);
    fx_future_unref_all(tasks, 2 * N);
    end_pool(pool);
}
END_TEST

static void *sleep_a_little(void *arg)
{
    fx_sleep(FX_MSEC(2));
    return arg;
}

/* A callback of libc's is a foreign frame: there the worker blocks, and another one takes its
 * place. */
static int read_in_comparison(const void *a, const void *b)
{
    char c;
    (void)b;
    expect_int(fx_read(*(const int *)a, &c, 1, -1), ==, 1);
    return 0;
}

static void *read_below_qsort(void *arg)
{
    int fds[2] = { *(int *)arg, *(int *)arg };
    qsort(fds, 2, sizeof fds[0], read_in_comparison);
    return arg;
}

START_TEST(a_read_in_a_callback_of_libc_blocks_its_worker_alone)
{
    fx_executor *pool = io_pool(_i, 1);
    int ends[2];
    io_pipe(ends);
    fx_future *blocked = submit(pool, read_below_qsort, &ends[0]);
    run_in(pool, sleep_a_little, NULL);
    run_in(pool, sleep_a_little, NULL);
    ck_assert_int_eq(write(ends[1], "xy", 2), 2);
    result_of(blocked);
    io_close(ends);
    end_pool(pool);
}
END_TEST

enum { SENDERS = 20 };

static fx_event go;
static atomic_int there;
static int pair[2];

static void *send_a_byte(void *arg)
{
    atomic_fetch_add(&there, 1);
    fx_event_wait(&go);
    expect_int(fx_send(pair[1], "x", 1, 0), ==, 1);
    return arg;
}

/* Once: a sanitizer's qsort makes comparisons of its own. */
static int receive_in_comparison(const void *a, const void *b)
{
    static bool has_received;
    char bytes[SENDERS];
    (void)a;
    (void)b;
    if (!has_received)
        expect_int(fx_recv(pair[0], bytes, SENDERS, MSG_WAITALL), ==, SENDERS);
    has_received = true;
    return 0;
}

static void *receive_below_qsort(void *arg)
{
    int numbers[] = { 2, 1 };
    atomic_fetch_add(&there, 1);
    fx_event_wait(&go);
    qsort(numbers, 2, sizeof *numbers, receive_in_comparison);
    return arg;
}

/* In the worker's own thread: so all are ready before one of them goes on. */
static void *let_them_go(void *arg)
{
    fx_event_set(&go);
    return arg;
}

START_TEST(a_worker_that_is_blocked_has_handed_over_what_its_tasks_have_begun)
{
    fx_executor *pool = io_pool(_i, 1);
    fx_future *tasks[SENDERS + 1];
    io_sockets(pair);
    for (int i = 0; i < SENDERS; i++)
        tasks[i] = submit(pool, send_a_byte, NULL);
    await(atomic_load(&there) == SENDERS);
    tasks[SENDERS] = submit(pool, receive_below_qsort, NULL);
    await(atomic_load(&there) == SENDERS + 1);
    run_in(pool, let_them_go, NULL);
    for (int i = 0; i <= SENDERS; i++)
        result_of(tasks[i]);
    io_close(pair);
    end_pool(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_loop_test(tests, a_file_is_used_as_by_plain_calls, 0, CONTEXTS);
    tcase_add_loop_test(tests, a_file_that_is_not_in_memory_is_read_to_the_end, 0, CONTEXTS);
    tcase_add_loop_test(tests, what_fails_says_its_errno_and_leaves_errno_alone, 0, CONTEXTS);
    tcase_add_loop_test(tests, a_descriptor_that_does_not_block_says_eagain, 0, CONTEXTS);
    tcase_add_loop_test(tests, what_waits_goes_on_when_it_can, 0, CONTEXTS);
    tcase_add_loop_test(tests, what_times_out_has_taken_nothing, 0, CONTEXTS);
    tcase_add_loop_test(tests, a_try_succeeds_where_nothing_has_to_be_waited_for, 0, CONTEXTS);
    tcase_add_loop_test(tests, a_stream_is_written_whole, 0, CONTEXTS);
    tcase_add_loop_test(tests, many_tasks_wait_on_one_worker, 0, IO_BACKENDS);
    tcase_add_loop_test(tests, a_read_in_a_callback_of_libc_blocks_its_worker_alone, 0,
                        IO_BACKENDS);
    tcase_add_loop_test(tests, a_worker_that_is_blocked_has_handed_over_what_its_tasks_have_begun, 0,
                        IO_BACKENDS);
}

int main(void)
{
    return run_suite("io_in_line", add_tests);
}
