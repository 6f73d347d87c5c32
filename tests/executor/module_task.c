/* A module whose functions are tasks: opened after the fork server was made. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int module_square(const void *arg, size_t arg_size, void *result, size_t result_size);
int module_count_calls(const void *arg, size_t arg_size, void *result, size_t result_size);
int module_initialize(const void *arg, size_t size);

static long calls, initialized;

int module_square(const void *arg, size_t arg_size, void *result, size_t result_size)
{
    int n = *(const int *)arg;
    if (arg_size != sizeof n || result_size != sizeof(long))
        return -EMSGSIZE;
    *(long *)result = (long)n * n;
    return 0;
}

/* How often it was called in this process, beginning with what the initializer was given. */
int module_count_calls(const void *arg, size_t arg_size, void *result, size_t result_size)
{
    (void)arg;
    (void)arg_size;
    (void)result_size;
    *(long *)result = initialized + ++calls;
    return 0;
}

int module_initialize(const void *arg, size_t size)
{
    memcpy(&initialized, arg, size);
    return 0;
}
