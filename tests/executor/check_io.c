/* What each operation does whose future one gets, over both backends. */
#include <liburing.h>
#include <signal.h>

#include "io.h"

#include "../thread/suite.h"

/* --- what each operation does ----------------------------------------------------------------- */

START_TEST(a_read_brings_the_bytes_at_its_offset)
{
    fx_executor *pool = io_pool(_i, 2);
    int fd = io_file(10000);
    char buf[3000];
    ck_assert_int_eq(io_of(fx_async_read(pool, fd, buf, sizeof buf, 5000)), sizeof buf);
    ck_assert(is_of_file(buf, sizeof buf, 5000));
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
    close(fd);
    end_pool(pool);
}
END_TEST

START_TEST(a_read_without_an_offset_moves_the_position_on)
{
    fx_executor *pool = io_pool(_i, 1);
    int fd = io_file(10000);
    char buf[3000];
    for (size_t at = 0; at < 9000; at += sizeof buf) {
        ck_assert_int_eq(io_of(fx_async_read(pool, fd, buf, sizeof buf, -1)), sizeof buf);
        ck_assert(is_of_file(buf, sizeof buf, at));
    }
    ck_assert_int_eq(io_of(fx_async_read(pool, fd, buf, sizeof buf, -1)), 1000);
    ck_assert_int_eq(io_of(fx_async_read(pool, fd, buf, sizeof buf, -1)), 0);
    close(fd);
    end_pool(pool);
}
END_TEST

START_TEST(a_write_meets_a_read_in_a_pipe)
{
    fx_executor *pool = io_pool(_i, 2);
    int ends[2];
    char buf[16] = "";
    io_pipe(ends);
    fx_future *read = fx_async_read(pool, ends[0], buf, sizeof buf, -1);
    ck_assert_int_eq(fx_future_io_for(read, FX_MSEC(20)), -ETIMEDOUT);
    ck_assert_int_eq(io_of(fx_async_write(pool, ends[1], "twelve bytes", 12, -1)), 12);
    ck_assert_int_eq(io_of(read), 12);
    ck_assert_str_eq(buf, "twelve bytes");
    io_close(ends);
    end_pool(pool);
}
END_TEST

START_TEST(parts_are_gathered_and_scattered)
{
    fx_executor *pool = io_pool(_i, 2);
    int fd = io_file(0);
    char a[3], b[5];
    struct iovec from[] = { { "one", 3 }, { "", 0 }, { "three", 5 } };
    struct iovec to[] = { { a, sizeof a }, { b, sizeof b } };
    ck_assert_int_eq(io_of(fx_async_writev(pool, fd, from, 3, 100)), 8);
    ck_assert_int_eq(io_of(fx_async_readv(pool, fd, to, 2, 100)), 8);
    ck_assert(memcmp(a, "one", 3) == 0 && memcmp(b, "three", 5) == 0);
    close(fd);
    end_pool(pool);
}
END_TEST

START_TEST(a_message_goes_over_a_socket)
{
    fx_executor *pool = io_pool(_i, 1);
    int ends[2];
    char buf[16] = "";
    io_sockets(ends);
    fx_future *recv = fx_async_recv(pool, ends[0], buf, sizeof buf, 0);
    ck_assert_int_eq(io_of(fx_async_send(pool, ends[1], "message", 7, 0)), 7);
    ck_assert_int_eq(io_of(recv), 7);
    ck_assert_str_eq(buf, "message");
    close(ends[1]);
    ck_assert_int_eq(io_of(fx_async_recv(pool, ends[0], buf, sizeof buf, 0)), 0);
    ck_assert_int_eq(io_of(fx_async_send(pool, ends[0], "more", 4, MSG_NOSIGNAL)), -EPIPE);
    close(ends[0]);
    end_pool(pool);
}
END_TEST

START_TEST(a_send_is_done_when_all_is_sent)
{
    enum { SIZE = 1 << 20 };
    fx_executor *pool = io_pool(_i, 2);
    int ends[2];
    char *data = calloc(1, SIZE), buf[8192];
    io_sockets(ends);
    fx_future *send = fx_async_send(pool, ends[1], data, SIZE, 0);
    ssize_t total = 0, n;
    while (total < SIZE && (n = read(ends[0], buf, sizeof buf)) > 0)
        total += n;
    ck_assert_int_eq(total, SIZE);
    ck_assert_int_eq(io_of(send), SIZE);
    free(data);
    io_close(ends);
    end_pool(pool);
}
END_TEST

START_TEST(a_receive_of_all_waits_for_all)
{
    fx_executor *pool = io_pool(_i, 2);
    int ends[2];
    char buf[8] = "";
    io_sockets(ends);
    fx_future *recv = fx_async_recv(pool, ends[0], buf, 7, MSG_WAITALL);
    ck_assert_int_eq(send(ends[1], "all", 3, 0), 3);
    ck_assert_int_eq(fx_future_io_for(recv, FX_MSEC(20)), -ETIMEDOUT);
    ck_assert_int_eq(send(ends[1], " of", 3, 0), 3);
    ck_assert_int_eq(send(ends[1], "it", 2, 0), 2);
    ck_assert_int_eq(io_of(recv), 7);
    ck_assert_str_eq(buf, "all ofi");
    io_close(ends);
    end_pool(pool);
}
END_TEST

START_TEST(a_connection_is_made_and_accepted)
{
    fx_executor *pool = io_pool(_i, 2);
    struct sockaddr_in address, peer, own;
    socklen_t peer_length = sizeof peer, own_length = sizeof own;
    int listener = io_listener(&address, 4), client = socket(AF_INET, SOCK_STREAM, 0);
    fx_future *accept = fx_async_accept(pool, listener, (struct sockaddr *)&peer, &peer_length,
                                        SOCK_CLOEXEC);
    fx_future *connect =
        fx_async_connect(pool, client, (struct sockaddr *)&address, sizeof address);
    ck_assert_int_eq(io_of(connect), 0);
    int server = (int)io_of(accept);
    ck_assert_int_ge(server, 0);
    ck_assert(fcntl(server, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(getsockname(client, (struct sockaddr *)&own, &own_length), 0);
    ck_assert_uint_eq(peer_length, sizeof peer);
    ck_assert_int_eq(peer.sin_port, own.sin_port);
    close(listener);
    int other = socket(AF_INET, SOCK_STREAM, 0);
    connect = fx_async_connect(pool, other, (struct sockaddr *)&address, sizeof address);
    ck_assert_int_eq(io_of(connect), -ECONNREFUSED);
    close(client);
    close(server);
    close(other);
    end_pool(pool);
}
END_TEST

START_TEST(a_file_is_opened_written_asked_about_and_closed)
{
    fx_executor *pool = io_pool(_i, 2);
    char name[] = "/tmp/fxthread-open-XXXXXX";
    struct statx about;
    close(mkstemp(name));
    int fd = (int)io_of(fx_async_openat(pool, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(io_of(fx_async_write(pool, fd, "content", 7, 0)), 7);
    ck_assert_int_eq(io_of(fx_async_fsync(pool, fd, false)), 0);
    ck_assert_int_eq(io_of(fx_async_fsync(pool, fd, true)), 0);
    ck_assert_int_eq(io_of(fx_async_statx(pool, AT_FDCWD, name, 0, STATX_SIZE, &about)), 0);
    ck_assert_int_eq((int)about.stx_size, 7);
    ck_assert_int_eq(io_of(fx_async_close(pool, fd)), 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    unlink(name);
    ck_assert_int_eq(io_of(fx_async_openat(pool, AT_FDCWD, name, O_RDONLY, 0)), -ENOENT);
    fd = (int)io_of(fx_async_openat(pool, AT_FDCWD, name, O_CREAT | O_WRONLY, 0640));
    ck_assert_int_eq(io_of(fx_async_statx(pool, fd, "", AT_EMPTY_PATH, STATX_MODE, &about)), 0);
    ck_assert_int_eq(about.stx_mode & 0777 & ~0640, 0);
    close(fd);
    unlink(name);
    end_pool(pool);
}
END_TEST

START_TEST(a_poll_tells_the_events_that_came)
{
    fx_executor *pool = io_pool(_i, 2);
    int ends[2];
    io_sockets(ends);
    ck_assert_int_eq(io_of(fx_async_poll(pool, ends[0], POLLIN | POLLOUT)), POLLOUT);
    fx_future *poll = fx_async_poll(pool, ends[0], POLLIN);
    ck_assert_int_eq(fx_future_io_for(poll, FX_MSEC(20)), -ETIMEDOUT);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(io_of(poll), POLLIN);
    close(ends[1]);
    ck_assert_int_eq(io_of(fx_async_poll(pool, ends[0], 0)), POLLHUP);
    close(ends[0]);
    end_pool(pool);
}
END_TEST

START_TEST(a_splice_moves_bytes)
{
    fx_executor *pool = io_pool(_i, 2);
    int ends[2], fd = io_file(1000), to = io_file(0);
    char buf[600];
    io_pipe(ends);
    ck_assert_int_eq(io_of(fx_async_splice(pool, fd, 300, ends[1], -1, 600, 0)), 600);
    ck_assert_int_eq(io_of(fx_async_splice(pool, ends[0], -1, to, 50, 600, 0)), 600);
    ck_assert_int_eq(pread(to, buf, 600, 50), 600);
    ck_assert(is_of_file(buf, 600, 300));
    close(fd);
    close(to);
    io_close(ends);
    end_pool(pool);
}
END_TEST

START_TEST(a_file_that_does_not_block_is_read_all_the_same)
{
    enum { SIZE = 1 << 20 };
    fx_executor *pool = io_pool(_i, 2);
    int fd = io_file(SIZE);
    char *buf = malloc(SIZE);
    set_non_blocking(fd, true);
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ssize_t n = 0, total = 0;
    do {
        n = (ssize_t)io_of(fx_async_read(pool, fd, buf + total, (size_t)(SIZE - total), -1));
        total += n;
    } while (n > 0);
    ck_assert_int_eq(n, 0);
    ck_assert_int_eq(total, SIZE);
    ck_assert(is_of_file(buf, SIZE, 0));
    free(buf);
    close(fd);
    end_pool(pool);
}
END_TEST

/* --- requests of one's own -------------------------------------------------------------------- */

START_TEST(a_prepared_request_is_carried_out)
{
    fx_executor *pool = io_pool(_i, 1);
    int fd = io_file(1000);
    char buf[100];
    struct io_uring_sqe read = { .opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)buf,
                                 .len = sizeof buf, .off = 200, .user_data = 7 };
    fx_future *future = fx_async_request(pool, &read);
    memset(&read, 0xff, sizeof read); /* it was copied */
    ck_assert_int_eq(io_of(future), sizeof buf);
    ck_assert(is_of_file(buf, sizeof buf, 200));
    struct io_uring_sqe nop = { .opcode = IORING_OP_NOP };
    ck_assert_int_eq(io_of(fx_async_request(pool, &nop)), 0);
    close(fd);
    end_pool(pool);
}
END_TEST

START_TEST(a_request_beyond_those_named_is_the_rings_alone)
{
    fx_executor *pool = io_pool(_i, 1);
    char name[] = "/tmp/fxthread-dir-XXXXXX";
    struct stat about;
    ck_assert_ptr_nonnull(mkdtemp(name));
    rmdir(name);
    struct io_uring_sqe make = { .opcode = IORING_OP_MKDIRAT, .fd = AT_FDCWD,
                                 .addr = (uintptr_t)name, .len = 0700 };
    fx_future *future = fx_async_request(pool, &make);
    if (_i == IO_URING) {
        ck_assert_int_eq(io_of(future), 0);
        ck_assert_int_eq(stat(name, &about), 0);
        rmdir(name);
    } else {
        ck_assert_ptr_null(future);
        ck_assert_int_eq(errno, ENOTSUP);
    }
    end_pool(pool);
}
END_TEST

START_TEST(a_request_of_a_rings_own_or_without_exactly_one_completion_is_refused)
{
    static const struct io_uring_sqe refused[] = {
        { .opcode = IORING_OP_NOP, .flags = IOSQE_IO_LINK },
        { .opcode = IORING_OP_NOP, .flags = IOSQE_IO_HARDLINK },
        { .opcode = IORING_OP_NOP, .flags = IOSQE_IO_DRAIN },
        { .opcode = IORING_OP_NOP, .flags = IOSQE_CQE_SKIP_SUCCESS },
        { .opcode = IORING_OP_READ, .flags = IOSQE_BUFFER_SELECT },
        { .opcode = IORING_OP_READ, .flags = IOSQE_FIXED_FILE },
        { .opcode = IORING_OP_CLOSE, .file_index = 1 },
        { .opcode = IORING_OP_ACCEPT, .file_index = 1 },
        { .opcode = IORING_OP_OPENAT, .file_index = IORING_FILE_INDEX_ALLOC },
        { .opcode = IORING_OP_SPLICE, .splice_flags = SPLICE_F_FD_IN_FIXED },
        { .opcode = IORING_OP_POLL_ADD, .len = IORING_POLL_ADD_MULTI },
        { .opcode = IORING_OP_ACCEPT, .ioprio = 1 },
        { .opcode = IORING_OP_RECV, .ioprio = 2 },
        { .opcode = IORING_OP_TIMEOUT, .timeout_flags = 64 },
        { .opcode = IORING_OP_ASYNC_CANCEL },
        { .opcode = IORING_OP_POLL_REMOVE },
        { .opcode = IORING_OP_LINK_TIMEOUT },
        { .opcode = 47 /* SEND_ZC */ },
        { .opcode = 200 },
    };
    fx_executor *pool = io_pool(_i, 1);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        ck_assert_ptr_null(fx_async_request(pool, &refused[i]));
        ck_assert_int_eq(errno, EINVAL);
    }
    ck_assert_ptr_null(fx_async_request(pool, NULL));
    ck_assert_int_eq(errno, EINVAL);
    end_pool(pool);
}
END_TEST

/* --- what goes wrong -------------------------------------------------------------------------- */

static char any[64];
static struct iovec any_part = { any, sizeof any };
static struct sockaddr any_address = { .sa_family = AF_INET };
static struct statx any_statx;

static fx_future *begin_nth(fx_executor *pool, int n, int fd)
{
    switch (n) {
    case 0: return fx_async_read(pool, fd, any, sizeof any, -1);
    case 1: return fx_async_write(pool, fd, any, sizeof any, 0);
    case 2: return fx_async_readv(pool, fd, &any_part, 1, 0);
    case 3: return fx_async_writev(pool, fd, &any_part, 1, -1);
    case 4: return fx_async_recv(pool, fd, any, sizeof any, 0);
    case 5: return fx_async_send(pool, fd, any, sizeof any, 0);
    case 6: return fx_async_accept(pool, fd, NULL, NULL, 0);
    case 7: return fx_async_connect(pool, fd, &any_address, sizeof any_address);
    case 8: return fx_async_openat(pool, fd, "x", O_RDONLY, 0);
    case 9: return fx_async_close(pool, fd);
    case 10: return fx_async_fsync(pool, fd, false);
    case 11: return fx_async_statx(pool, fd, "x", 0, STATX_SIZE, &any_statx);
    case 12: return fx_async_splice(pool, fd, -1, fd, -1, 1, 0);
    default: return NULL;
    }
}

START_TEST(a_closed_descriptor_is_ebadf)
{
    fx_executor *pool = io_pool(_i, 2);
    int fd = fcntl(0, F_DUPFD, 900); /* which nothing else will have */
    fx_future *future;
    close(fd);
    for (int n = 0; (future = begin_nth(pool, n, fd)) != NULL; n++)
        ck_assert_msg(io_of(future) == -EBADF, "operation %d", n);
    ck_assert_int_eq(io_of(fx_async_poll(pool, fd, POLLIN)), -EBADF);
    ck_assert_int_eq(io_of(fx_async_poll(pool, -1, POLLIN)), -EBADF);
    end_pool(pool);
}
END_TEST

START_TEST(what_failed_has_its_errno_as_exception)
{
    fx_executor *pool = io_pool(_i, 2);
    fx_exc code = 0;
    fx_future *future = fx_async_read(pool, -1, any, sizeof any, 0);
    ck_assert_int_eq(fx_future_result_for(future, FX_SEC(await_limit()), NULL), -EREMOTEIO);
    ck_assert_int_eq(fx_future_exception(future, &code), 0);
    ck_assert_int_eq(code, -EBADF);
    ck_assert_int_eq(fx_future_io(future), -EBADF);
    ck_assert_int_eq(fx_future_cancel(future), -EALREADY);
    ck_assert_int_eq(fx_future_stop(future), -EALREADY);
    fx_future_unref(future);
    end_pool(pool);
}
END_TEST

static atomic_int unread, unread_code;

static void note_unread(fx_future *future, const fx_exc_info *info)
{
    (void)future;
    atomic_store(&unread_code, info->code);
    fx_sleep(FX_MSEC(1)); /* it may wait */
    atomic_fetch_add(&unread, 1);
}

START_TEST(a_failure_that_nobody_asks_for_is_told_to_the_hook)
{
    fx_executor *pool = io_pool(_i, 1);
    int ends[2];
    fx_set_unread_hook(note_unread);
    io_pipe(ends);
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    fx_future_unref(fx_async_write(pool, ends[1], "x", 1, -1));
    await(atomic_load(&unread) == 1);
    ck_assert_int_eq(atomic_load(&unread_code), -EPIPE);
    close(ends[1]);
    end_pool(pool);
}
END_TEST

START_TEST(bad_arguments_are_refused_at_once)
{
    fx_executor *pool = io_pool(_i, 1);
    for (int n = 0; n < 13; n++) {
        ck_assert_ptr_null(begin_nth(NULL, n, 0));
        ck_assert_int_eq(errno, EINVAL);
    }
    ck_assert_ptr_null(fx_async_sleep(NULL, 0));
    ck_assert_ptr_null(fx_async_read(pool, 0, NULL, 1, 0));
    ck_assert_ptr_null(fx_async_readv(pool, 0, &any_part, -1, 0));
    ck_assert_ptr_null(fx_async_writev(pool, 0, NULL, 1, 0));
    ck_assert_ptr_null(fx_async_openat(pool, 0, NULL, 0, 0));
    ck_assert_ptr_null(fx_async_connect(pool, 0, NULL, 0));
    ck_assert_ptr_null(fx_async_accept(pool, 0, &any_address, NULL, 0));
    errno = 0;
    ck_assert_ptr_null(fx_async_statx(pool, 0, "", 0, 0, NULL));
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_int_eq(fx_future_io(NULL), -EINVAL);
    fx_future *promise = fx_future_new();
    ck_assert_int_eq(fx_future_io(promise), -EINVAL);
    fx_future_unref(promise);
    end_pool(pool);
}
END_TEST

START_TEST(a_descriptor_that_does_not_block_says_eagain)
{
    fx_executor *pool = io_pool(_i, 2);
    int ends[2];
    char buf[4];
    io_sockets(ends);
    set_non_blocking(ends[0], true);
    ck_assert_int_eq(io_of(fx_async_read(pool, ends[0], buf, sizeof buf, -1)), -EAGAIN);
    ck_assert_int_eq(io_of(fx_async_recv(pool, ends[0], buf, sizeof buf, 0)), -EAGAIN);
    set_non_blocking(ends[0], false);
    ck_assert_int_eq(io_of(fx_async_recv(pool, ends[0], buf, sizeof buf, MSG_DONTWAIT)), -EAGAIN);
    set_non_blocking(ends[0], true);
    fx_future *poll = fx_async_poll(pool, ends[0], POLLIN);
    ck_assert_int_eq(fx_future_io_for(poll, FX_MSEC(10)), -ETIMEDOUT);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(io_of(poll), POLLIN);
    io_close(ends);
    end_pool(pool);
}
END_TEST

static void add_tests(TCase *tests)
{
#define ADD(test) tcase_add_loop_test(tests, test, 0, IO_BACKENDS)
    ADD(a_read_brings_the_bytes_at_its_offset);
    ADD(a_read_without_an_offset_moves_the_position_on);
    ADD(a_write_meets_a_read_in_a_pipe);
    ADD(parts_are_gathered_and_scattered);
    ADD(a_message_goes_over_a_socket);
    ADD(a_send_is_done_when_all_is_sent);
    ADD(a_receive_of_all_waits_for_all);
    ADD(a_connection_is_made_and_accepted);
    ADD(a_file_is_opened_written_asked_about_and_closed);
    ADD(a_poll_tells_the_events_that_came);
    ADD(a_splice_moves_bytes);
    ADD(a_file_that_does_not_block_is_read_all_the_same);
    ADD(a_prepared_request_is_carried_out);
    ADD(a_request_beyond_those_named_is_the_rings_alone);
    ADD(a_request_of_a_rings_own_or_without_exactly_one_completion_is_refused);
    ADD(a_closed_descriptor_is_ebadf);
    ADD(what_failed_has_its_errno_as_exception);
    ADD(a_failure_that_nobody_asks_for_is_told_to_the_hook);
    ADD(bad_arguments_are_refused_at_once);
    ADD(a_descriptor_that_does_not_block_says_eagain);
}

int main(void)
{
    return run_suite("io", add_tests);
}
