/* Streams under everything at once: on each channel, a pipe or a pair of sockets, somebody gives
 * and somebody takes bytes, in every way there is, in line and by futures, in tasks of both
 * backends and in threads, with deadlines of microseconds, and is stopped at any moment. The bytes
 * are numbered: each one that was given is taken, once, in order, or is still in the channel.
 * usage: stress_io [seed] */
#include <errno.h>
#include <fcntl.h>
#include <fxthread.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "await.h"
#include "record.h"
#include "scale.h"

enum { CHANNELS = 6, ROUNDS = 150, OPERATIONS = 60, BYTES_MOST = 5000, SLEEPS = 8 };

static fx_executor *pools[2];

struct channel {
    int ends[2];         /* to take from, and to give to */
    bool is_socket;
    unsigned seed;
    size_t given, taken; /* each its one user's */
};

struct role {
    struct channel *channel;
    bool gives;
    unsigned seed;
    fx_future *under_way; /* of an operation, with the buffer */
    unsigned char buf[BYTES_MOST];
};

static fx_nsec some_time(unsigned *seed)
{
    return FX_USEC(rand_r(seed) % 300);
}

/* So many bytes have gone through, says an operation; a negative one has done nothing. */
static void count(struct role *role, int64_t n)
{
    struct channel *channel = role->channel;
    if (n <= 0) {
        expect(n == -ETIMEDOUT || n == -ECANCELED);
        return;
    }
    if (role->gives) {
        channel->given += (size_t)n;
        return;
    }
    for (int64_t i = 0; i < n; i++)
        expect(role->buf[i] == (channel->taken + (size_t)i) % 251);
    channel->taken += (size_t)n;
}

static size_t prepare(struct role *role)
{
    size_t n = 1 + (size_t)rand_r(&role->seed) % (rand_r(&role->seed) % 4 ? 200 : BYTES_MOST);
    if (role->gives)
        for (size_t i = 0; i < n; i++)
            role->buf[i] = (unsigned char)((role->channel->given + i) % 251);
    return n;
}

/* --- operations ------------------------------------------------------------------------------- */

static int64_t transfer(struct role *role, size_t n)
{
    struct channel *channel = role->channel;
    fx_nsec timeout = some_time(&role->seed);
    struct iovec parts[] = { { role->buf, n / 3 }, { role->buf + n / 3, n - n / 3 } };
    int fd = channel->ends[role->gives];
    switch (rand_r(&role->seed) % 4) {
    case 0:
        return role->gives ? fx_writev_for(fd, parts, 2, -1, timeout)
                           : fx_readv_for(fd, parts, 2, -1, timeout);
    case 1:
        if (channel->is_socket)
            return role->gives ? fx_send_for(fd, role->buf, n, 0, timeout)
                               : fx_recv_for(fd, role->buf, n, 0, timeout);
        /* fall through */
    case 2:
        fx_poll_for(fd, role->gives ? POLLOUT : POLLIN, timeout);
        /* fall through */
    default:
        return role->gives ? fx_write_for(fd, role->buf, n, -1, timeout)
                           : fx_read_for(fd, role->buf, n, -1, timeout);
    }
}

static void note_end(fx_future *future, void *arg)
{
    (void)arg;
    expect(fx_future_done(future));
    fx_yield();
}

static void begin(struct role *role, size_t n)
{
    struct channel *channel = role->channel;
    fx_executor *pool = pools[rand_r(&role->seed) % 2];
    int fd = channel->ends[role->gives];
    bool as_message = channel->is_socket && rand_r(&role->seed) % 2;
    if (role->gives)
        role->under_way = as_message ? fx_async_send(pool, fd, role->buf, n, 0)
                                     : fx_async_write(pool, fd, role->buf, n, -1);
    else
        role->under_way = as_message ? fx_async_recv(pool, fd, role->buf, n, 0)
                                     : fx_async_read(pool, fd, role->buf, n, -1);
    expect(role->under_way != NULL);
    if (rand_r(&role->seed) % 4 == 0)
        expect_int(fx_future_add_done_callback(role->under_way, note_end, NULL), ==, 0);
}

/* The buffer is its until it is done; so this is the way out of a stop, too. */
static void finish(void *arg)
{
    struct role *role = arg;
    fx_future *future = role->under_way;
    if (!future)
        return;
    if (fx_future_cancel(future) == -EBUSY)
        fx_future_stop(future);
    int64_t n = fx_future_io(future);
    role->under_way = NULL;
    count(role, n);
    fx_future_unref(future);
}

static void transfer_by_future(struct role *role, size_t n)
{
    FX_DEFER(finish, role);
    begin(role, n);
    fx_future_io_for(role->under_way, some_time(&role->seed));
}

static void *play(void *arg)
{
    struct role *role = arg;
    /* So that nothing comes between an operation and its count. */
    fx_stop_set_mode(FX_STOP_DEFERRED);
    for (int i = 0; i < OPERATIONS; i++) {
        size_t n = prepare(role);
        if (rand_r(&role->seed) % 4)
            count(role, transfer(role, n));
        else
            transfer_by_future(role, n);
    }
    return NULL;
}

/* --- those who play --------------------------------------------------------------------------- */

struct player {
    fx_future *task;
    fx_thread *thread; /* one of the two */
};

static struct player start(struct role *role)
{
    struct player player = { 0 };
    unsigned which = (unsigned)rand_r(&role->seed) % 3;
    if (which < 2)
        player.task = fx_submit(pools[which], play, role);
    else
        player.thread = fx_thread_spawn(play, role);
    expect(player.task || player.thread);
    return player;
}

static void stop(struct player *player)
{
    if (player->task)
        fx_future_stop(player->task);
    else
        fx_thread_stop(player->thread);
}

static void end(struct player *player)
{
    if (player->task) {
        int rc = fx_future_result_for(player->task, FX_SEC(await_limit()), NULL);
        expect(rc == 0 || rc == -ECANCELED);
        fx_future_unref(player->task);
    } else {
        expect_int(fx_thread_join_for(player->thread, FX_SEC(await_limit()), NULL), ==, 0);
        fx_exc code = fx_thread_exception(player->thread);
        expect(code == 0 || code == FX_STOPPED);
        fx_thread_unref(player->thread);
    }
}

static void cancel_some_sleeps(unsigned *seed)
{
    fx_future *sleeps[SLEEPS];
    for (int i = 0; i < SLEEPS; i++)
        sleeps[i] = fx_async_sleep(pools[rand_r(seed) % 2], some_time(seed));
    for (int i = 0; i < SLEEPS; i++) {
        int rc = rand_r(seed) % 2 ? fx_future_cancel(sleeps[i]) : 1;
        int64_t result = fx_future_io(sleeps[i]);
        expect(rc == 0 ? result == -ECANCELED : rc == 1 || rc == -EALREADY || rc == -EBUSY);
        expect(rc == 0 || result == 0);
        fx_future_unref(sleeps[i]);
    }
}

static void *drive(void *arg)
{
    struct channel *channel = arg;
    struct role *giver = calloc(1, sizeof *giver), *taker = calloc(1, sizeof *taker);
    for (int round = 0, rounds = scaled(ROUNDS); round < rounds; round++) {
        unsigned *seed = &channel->seed;
        *giver = (struct role){ channel, true, (unsigned)rand_r(seed), NULL, { 0 } };
        *taker = (struct role){ channel, false, (unsigned)rand_r(seed), NULL, { 0 } };
        struct player gives = start(giver), takes = start(taker);
        fx_sleep(5 * some_time(seed));
        if (rand_r(seed) % 2)
            stop(&gives);
        cancel_some_sleeps(seed);
        if (rand_r(seed) % 2)
            stop(&takes);
        end(&gives);
        end(&takes);
    }
    free(giver);
    free(taker);
    return NULL;
}

/* --- channels --------------------------------------------------------------------------------- */

static void open_channel(struct channel *channel, int i, unsigned seed)
{
    channel->seed = seed + (unsigned)i;
    channel->is_socket = i % 2;
    int rc = channel->is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, channel->ends)
                                : pipe(channel->ends);
    expect_int(rc, ==, 0);
}

static size_t close_channel(struct channel *channel)
{
    unsigned char c;
    fcntl(channel->ends[0], F_SETFL, O_NONBLOCK);
    while (read(channel->ends[0], &c, 1) == 1)
        expect(c == channel->taken++ % 251);
    expect_int(channel->given, ==, channel->taken);
    close(channel->ends[0]);
    close(channel->ends[1]);
    return channel->given;
}

static void make_pools(void)
{
    fx_backend backends[] = { FX_BACKEND_AUTO, FX_BACKEND_EPOLL };
    for (int i = 0; i < 2; i++)
        pools[i] = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = (size_t)i + 1,
                                                              .backend = backends[i] });
    if (!pools[0] || !pools[1])
        abort();
}

int main(int argc, char **argv)
{
    static struct channel channels[CHANNELS];
    fx_thread *drivers[CHANNELS];
    unsigned seed = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    size_t bytes = 0;
    make_pools();
    for (int i = 0; i < CHANNELS; i++) {
        open_channel(&channels[i], i, seed);
        drivers[i] = fx_thread_spawn(drive, &channels[i]);
    }
    for (int i = 0; i < CHANNELS; i++) {
        fx_thread_join(drivers[i], NULL);
        fx_thread_unref(drivers[i]);
        bytes += close_channel(&channels[i]);
    }
    for (int i = 0; i < 2; i++) {
        expect_int(fx_executor_shutdown_for(pools[i], FX_SEC(await_limit()), false), ==, 0);
        fx_executor_unref(pools[i]);
    }
    printf("%zu bytes\n", bytes);
    return record_status();
}
