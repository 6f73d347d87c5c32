/* One thread with epoll(7) over sockets that do not block. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/peers/io.h"

/* False: the connection has ended. */
static bool echo(int fd)
{
    char buf[4096];
    for (;;) {
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
            return false;
        if ((size_t)n < sizeof buf)
            return true; /* level-triggered: what comes later is told of */
    }
}

static bool serve(const int *connections, int n)
{
    struct epoll_event events[64];
    int set = epoll_create1(EPOLL_CLOEXEC), open = n;
    for (int i = 0; i < n; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = connections[i] };
        fcntl(connections[i], F_SETFL, O_NONBLOCK);
        if (epoll_ctl(set, EPOLL_CTL_ADD, connections[i], &event) != 0)
            return false;
    }
    while (open > 0) {
        int ready = epoll_wait(set, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            if (echo(events[i].data.fd))
                continue;
            close(events[i].data.fd);
            open--;
        }
    }
    close(set);
    return true;
}

const struct bench_io_peer bench_io_epoll = {
    .peer = { .name = "epoll", .what = "epoll(7), in one thread" },
    .serve = serve,
};
