/* Pages asked of the kernel. */
#ifndef FXI_KERNEL_MEMORY_H
#define FXI_KERNEL_MEMORY_H

#include <stddef.h>

size_t fxi_page_size(void);

/* Reserves `size` bytes, a multiple of the page size, zeroed and touched only as used, never with
 * huge pages. NULL: no memory, or no more mappings. */
void *fxi_pages_map(size_t size);
void fxi_pages_unmap(void *base, size_t size);

/* Makes every access to these pages a SIGSEGV. 0, or -ENOMEM: no more mappings. */
int fxi_pages_guard(void *base, size_t size);

/* Gives the memory back and keeps the pages mapped, zeroed. */
void fxi_pages_discard(void *base, size_t size);

#endif
