/* libc's malloc, with the seam where tests make it fail. */
#ifndef FXI_LIBC_ALLOC_H
#define FXI_LIBC_ALLOC_H

#include <errno.h>
#include <stdlib.h>

#include "kernel/inject.h"

/* Zeroed memory; NULL with errno ENOMEM. */
static inline void *fxi_alloc(size_t size)
{
    if (fxi_inject(FXI_INJECT_ALLOC) != 0) {
        errno = ENOMEM;
        return NULL;
    }
    return calloc(1, size);
}

static inline void fxi_free(void *memory)
{
    free(memory);
}

#endif
