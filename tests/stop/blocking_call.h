/* What the tests of lib/stop/call.h share: a pipe, and calls that read from it. */
#ifndef TESTS_STOP_BLOCKING_CALL_H
#define TESTS_STOP_BLOCKING_CALL_H

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stop/call.h"
#include "stop/stop.h"
#include "victim.h"

static struct {
    int from, to;
} channel;

static inline void channel_open(void)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    channel.from = ends[0];
    channel.to = ends[1];
}

static inline void channel_put(void)
{
    ck_assert_int_eq(write(channel.to, "x", 1), 1);
}

static inline int channel_holds(void)
{
    int bytes = -1;
    ck_assert_int_eq(ioctl(channel.from, FIONREAD, &bytes), 0);
    return bytes;
}

static inline long read_byte_until(fx_deadline deadline)
{
    char byte;
    const long arguments[6] = { channel.from, (long)(uintptr_t)&byte, 1 };
    return fxi_stop_call(SYS_read, arguments, deadline);
}

/* As a public call does it. */
static inline int read_byte(void)
{
    return fxi_stop_point((int)read_byte_until(FX_FOREVER));
}

#endif
