/* How a function of the program's is found in a worker.
 *
 * The fork server has every object that was loaded when it was forked, at the same place, so that
 * addresses of theirs mean the same there. An object that was loaded later the program enters in a
 * list in the shared memory, when a function of its is first submitted; a worker that meets an
 * address in it loads the object, which may come to lie elsewhere, and reckons from there. Whether
 * it is the same object is told by a fingerprint of its program headers and notes, of which the
 * build-id is one. */
#ifndef FXI_EXECUTOR_PROCESS_FUNCTION_H
#define FXI_EXECUTOR_PROCESS_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

#define FXI_LATE_OBJECTS_MOST 128
#define FXI_OBJECT_PATH_BYTES 1000

struct fxi_late_object {
    uintptr_t begin, end;      /* its addresses in the program's process */
    uintptr_t bias;
    uint64_t fingerprint;
    char path[FXI_OBJECT_PATH_BYTES];
};

/* The latest entry that covers an address is the right one; if its path is empty, the fork server
 * has the object. Written by the program only; an entry before `count` passes it, with release. */
struct fxi_late_objects {
    uint32_t count;
    struct fxi_late_object entries[FXI_LATE_OBJECTS_MOST];
};

/* Before the fork of a fork server, in the program: notes which objects it will have. 0 or -ENOMEM.
 * One caller at a time. */
int fxi_functions_list(void);

/* Whether workers can call the function whose address that is; enters its object where they need
 * it. 0;
 * -ENOTSUP: it lies in no object, or there are too many; -ENOMEM. In the program. */
int fxi_function_offer(struct fxi_late_objects *late, uintptr_t address);

/* In a new worker: what a process that it was forked from had loaded is nothing to it. */
void fxi_functions_forget(void);

/* In a worker: the function that lies at that address in the program. NULL: its object cannot be
 * loaded, or is another one. */
void *fxi_function_here(const struct fxi_late_objects *late, uintptr_t address);

/* Around fork. */
void fxi_functions_lock(void);
void fxi_functions_unlock(void);

#endif
