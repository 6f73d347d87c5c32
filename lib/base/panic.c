#include "base/panic.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

_Noreturn void fxi_panic(const char *what)
{
    static const char prefix[] = "fxthread: ";
    struct iovec line[] = {
        { (void *)prefix, sizeof prefix - 1 },
        { (void *)what, strlen(what) },
        { (void *)"\n", 1 },
    };
    /* Nothing is left to do about a message that cannot be written. */
    ssize_t written = writev(STDERR_FILENO, line, 3);
    (void)written;
    abort();
}
