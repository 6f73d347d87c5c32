/* Memory that several processes map: a file without a name, sparse, whose size is fixed for ever,
 * so that no process can take away what another one has mapped.
 *
 * Pages are had before they are touched (fxi_shared_provide, fxi_shared_write), for where there is
 * no memory a touch would be a SIGBUS. */
#ifndef FXI_KERNEL_SHARED_MEMORY_H
#define FXI_KERNEL_SHARED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A descriptor of `size` bytes, a multiple of the page size. Or -ENOMEM, -EMFILE, -ENFILE; -EFBIG:
 * more than the process may have in a file (RLIMIT_FSIZE). */
int fxi_shared_new(size_t size);

/* Maps all of it, and touches nothing. NULL: no room among the addresses. */
void *fxi_shared_map(int descriptor, size_t size);
void fxi_shared_unmap(void *base, size_t size);

/* Pages for a range, zeroed where there were none. 0 or -ENOMEM. */
int fxi_shared_provide(int descriptor, size_t offset, size_t size);

/* Copies bytes into it, straight into new pages where there are none. 0; -ENOMEM; -EFBIG: so far
 * into a file the process must not write (RLIMIT_FSIZE). */
int fxi_shared_write(int descriptor, size_t offset, const void *bytes, size_t size);

/* Gives pages back, of all who map it: they are zeroed when they are had again. False: they are as
 * they were. */
bool fxi_shared_discard(int descriptor, size_t offset, size_t size);

/* The same without a descriptor, where the kernel does it. */
void fxi_shared_forget(void *base, size_t size);

/* The most that a program could ever have of it: the machine's memory, in bytes. And how much of
 * that is to be had at present; SIZE_MAX: it is not known. */
size_t fxi_memory_of_machine(void);
size_t fxi_memory_available(void);

/* How many bytes of addresses the process may have (RLIMIT_AS). */
size_t fxi_addresses_most(void);

#endif
