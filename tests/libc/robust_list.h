/* The calling thread's robust list, as the kernel knows it. */
#ifndef TESTS_LIBC_ROBUST_LIST_H
#define TESTS_LIBC_ROBUST_LIST_H

#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* NULL: none was registered. False: whoever answers for the kernel (qemu's user mode) has no such
 * lists, so that nobody learns of an owner's death. */
static inline bool robust_list_of_self(struct robust_list_head **list)
{
    size_t size = 0;
    *list = NULL;
    return syscall(SYS_get_robust_list, 0, list, &size) == 0;
}

#endif
