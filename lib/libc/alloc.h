/* libc's malloc, with the seam where tests make it fail. */
#ifndef FXI_LIBC_ALLOC_H
#define FXI_LIBC_ALLOC_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* The same, not zeroed. */
static inline void *fxi_alloc_dirty(size_t size)
{
    if (fxi_inject(FXI_INJECT_ALLOC) != 0) {
        errno = ENOMEM;
        return NULL;
    }
    return malloc(size);
}

/* Zeroed, and aligned to a power of two, of which the size is a multiple. */
static inline void *fxi_alloc_aligned(size_t alignment, size_t size)
{
    if (fxi_inject(FXI_INJECT_ALLOC) != 0) {
        errno = ENOMEM;
        return NULL;
    }
    void *memory = aligned_alloc(alignment, size);
    return memory ? memset(memory, 0, size) : NULL;
}

static inline void fxi_free(void *memory)
{
    free(memory);
}

#endif
