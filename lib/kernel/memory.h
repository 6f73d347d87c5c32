/* Pages asked of the kernel. */
#ifndef FXI_KERNEL_MEMORY_H
#define FXI_KERNEL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

size_t fxi_page_size(void);

/* Reserves `size` bytes, a multiple of the page size, zeroed and touched only as used, never with
 * huge pages. NULL: no memory, or no more mappings. */
void *fxi_pages_map(size_t size);
void fxi_pages_unmap(void *base, size_t size);

/* Makes every access to these pages a SIGSEGV. 0, or -ENOMEM: no more mappings. */
int fxi_pages_guard(void *base, size_t size);

/* The same for n places, FXI_GUARDS_MOST at most, which are `stride` apart, by one call. Pages that are
 * guarded stay so. False: not on this kernel; some may be guarded now. */
bool fxi_pages_guard_each(char *first, size_t size, size_t stride, unsigned n);
#define FXI_GUARDS_MOST 16

/* Gives the memory back and keeps the pages mapped, zeroed. */
void fxi_pages_discard(void *base, size_t size);

#endif
