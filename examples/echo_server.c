/* A server that sends back what it is sent: a task for each connection, which reads and writes as
 * though it were a thread of its own, and two workers for all of them. A connection that is silent
 * for long is closed; when the server is stopped, all of them are.
 *
 *     echo_server PORT    serves until it is ended
 *     echo_server         tries itself out, with a hundred clients, and prints something like:
 *
 *     100 connections, 1000 messages, in 21 ms */
#include <fxthread.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SILENT_FOR_LONG FX_SEC(30)

static fx_executor *pool;
static atomic_int connections;

static void close_connection(void *connection)
{
    fx_close((int)(intptr_t)connection);
}

/* One connection. However the task ends, it is closed. */
static void *serve(void *connection)
{
    int fd = (int)(intptr_t)connection;
    char buf[4096];
    ssize_t n;

    atomic_fetch_add(&connections, 1);
    FX_DEFER(close_connection, connection);
    while ((n = fx_recv_for(fd, buf, sizeof buf, 0, SILENT_FOR_LONG)) > 0)
        if (fx_send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    return NULL;
}

/* All of them. It ends by an error, or by being stopped. */
static void *listen_on(void *listener)
{
    for (;;) {
        int fd = fx_accept((int)(intptr_t)listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && fd != -ECONNABORTED)
            return NULL;
        if (fd >= 0 && fx_submit_detached(pool, serve, (void *)(intptr_t)fd) != 0)
            close(fd);
    }
}

static int make_listener(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)address, length) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &length) != 0) {
        perror("listen");
        exit(EXIT_FAILURE);
    }
    return fd;
}

/* --- the clients of the trial ----------------------------------------------------------------- */

enum { CLIENTS = 100, MESSAGES = 10 };

static struct sockaddr_in server;
static atomic_int answered;

static void *talk(void *number)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char said[64], heard[64];

    if (fx_connect_for(fd, (struct sockaddr *)&server, sizeof server, FX_SEC(10)) != 0)
        return NULL;
    FX_DEFER(close_connection, (void *)(intptr_t)fd);
    for (int i = 0; i < MESSAGES; i++) {
        int n = snprintf(said, sizeof said, "client %d, message %d", (int)(intptr_t)number, i);
        if (fx_send(fd, said, (size_t)n, MSG_NOSIGNAL) != n ||
            fx_recv_for(fd, heard, (size_t)n, MSG_WAITALL, FX_SEC(10)) != n ||
            memcmp(said, heard, (size_t)n) != 0)
            return NULL;
        atomic_fetch_add(&answered, 1);
    }
    return NULL;
}

static void try_out(void)
{
    fx_future *clients[CLIENTS];
    fx_deadline begin = fx_now();

    for (int i = 0; i < CLIENTS; i++)
        clients[i] = fx_submit(pool, talk, (void *)(intptr_t)i);
    fx_wait(clients, CLIENTS, FX_FOREVER, FX_ALL_COMPLETED, NULL);
    printf("%d connections, %d messages, in %.0f ms\n", atomic_load(&connections),
           atomic_load(&answered), (double)(fx_now() - begin) / 1e6);
    fx_future_unref_all(clients, CLIENTS);
}

int main(int argc, char **argv)
{
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    server.sin_addr.s_addr = htonl(argc > 1 ? INADDR_ANY : INADDR_LOOPBACK);
    int listener = make_listener(&server);
    pool = fx_thread_pool_new(&(fx_thread_pool_attr){ .max_workers = 2 });
    fx_future *listening = pool ? fx_submit(pool, listen_on, (void *)(intptr_t)listener) : NULL;
    if (!listening) {
        perror("fx_thread_pool_new");
        return EXIT_FAILURE;
    }
    if (argc > 1)
        fx_future_result(listening, NULL);
    else
        try_out();
    fx_future_stop(listening);
    fx_executor_shutdown(pool, true, false);
    fx_future_unref(listening);
    fx_executor_unref(pool);
    close(listener);
    return argc > 1 || atomic_load(&answered) == CLIENTS * MESSAGES ? EXIT_SUCCESS : EXIT_FAILURE;
}
