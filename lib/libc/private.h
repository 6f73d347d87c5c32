/* What glibc exports for its own parts and for debuggers (symbol version GLIBC_PRIVATE): declared
 * here once. configure has linked against all of it.
 *
 * A descriptor tells where a field lies: its width in bits, how many there are, and its offset in
 * the thread descriptor (`struct pthread`). The shared libc reaches its list of threads through
 * __nptl_rtld_global; the static one has the list itself. Whichever is missing is NULL. */
#ifndef FXI_LIBC_PRIVATE_H
#define FXI_LIBC_PRIVATE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"

struct __res_state; /* <resolv.h>, whose macros take common names, where it is needed */

struct fxi_libc_field {
    uint32_t bits, count, offset;
};

struct fxi_libc_key {
    uintptr_t sequence; /* odd: in use */
    void (*destructor)(void *);
};

/* A new TLS block with every module's image, in the memory given or, for NULL, of malloc; the
 * thread pointer for it, or NULL. */
extern void *_dl_allocate_tls(void *memory);
extern void _dl_deallocate_tls(void *thread_pointer, bool free_descriptor);
extern void __ctype_init(void);
extern void __call_tls_dtors(void);
extern void __libc_thread_freeres(void) FXI_WEAK; /* the static libc's only */
extern struct fxi_libc_key __pthread_keys[];
extern __thread struct __res_state *__resp __attribute__((tls_model("initial-exec")));

extern const uint32_t _thread_db_sizeof_pthread;
extern const struct fxi_libc_field _thread_db_pthread_tid;
extern const struct fxi_libc_field _thread_db_pthread_list;
extern const struct fxi_libc_field _thread_db_pthread_cancelhandling;
extern const struct fxi_libc_field _thread_db_pthread_specific;

extern char *__nptl_rtld_global FXI_WEAK;
extern const struct fxi_libc_field _thread_db_rtld_global__dl_stack_user FXI_WEAK;
extern struct fxi_list _dl_stack_user FXI_WEAK;
extern uint32_t _dl_stack_cache_lock FXI_WEAK;

/* From glibc 2.35 on: the area that every thread registers for restartable sequences. */
extern const unsigned int __rseq_size FXI_WEAK;
extern const ptrdiff_t __rseq_offset FXI_WEAK;

#endif
