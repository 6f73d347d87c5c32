/* How many bytes of the heap the program holds at this moment, exactly.
 *
 *     size_t before = live_bytes();
 *     do_and_undo();
 *     ck_assert_uint_eq(live_bytes(), before);     // once all threads of do_and_undo() are gone
 *
 * mallinfo2() will not do: it takes for used what libc's threads keep for their next allocations,
 * and the more threads meet, the more of them there are to keep some. So this takes the place of
 * malloc and its family in the program, its libraries and the loader (which allocates the threads'
 * TCBs), counts, and leaves the work to libc. To be included in one file of a program. The
 * sanitizers have a malloc of their own: there, nothing is counted, and live_bytes() is 0.
 */
#ifndef TESTS_SUPPORT_LIVE_MEMORY_H
#define TESTS_SUPPORT_LIVE_MEMORY_H

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#if defined FXI_ASAN || defined FXI_TSAN

#define LIVE_BYTES_ARE_COUNTED 0

static inline size_t live_bytes(void)
{
    return 0;
}

#else

#define LIVE_BYTES_ARE_COUNTED 1

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static atomic_size_t live_bytes_count;

static inline size_t live_bytes(void)
{
    return atomic_load(&live_bytes_count);
}

/* Memory or NULL, from now on the program's. */
static inline void *live_memory_taken(void *memory)
{
    atomic_fetch_add(&live_bytes_count, malloc_usable_size(memory));
    return memory;
}

static inline void live_memory_given(void *memory)
{
    atomic_fetch_sub(&live_bytes_count, malloc_usable_size(memory));
}

void *malloc(size_t size)
{
    return live_memory_taken(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return live_memory_taken(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    size_t before = malloc_usable_size(memory);
    void *moved = __libc_realloc(memory, size);
    if (moved || size == 0) /* else `memory` is still there; realloc(memory, 0) frees it */
        atomic_fetch_sub(&live_bytes_count, before);
    return live_memory_taken(moved);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return live_memory_taken(__libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size)
{
    return live_memory_taken(__libc_memalign(alignment, size));
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    int saved_errno = errno;
    void *taken = live_memory_taken(__libc_memalign(alignment, size));
    errno = saved_errno;
    if (!taken)
        return ENOMEM;
    *memory = taken;
    return 0;
}

void free(void *memory)
{
    live_memory_given(memory);
    __libc_free(memory);
}

#endif

#endif
