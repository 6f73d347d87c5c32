#include "libc/thread_state.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <linux/rseq.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <resolv.h>
#include <string.h>

#include "base/atomic.h"
#include "kernel/syscall.h"
#include "libc/private.h"
#include "libc/tcb_layout.h"

#if defined __x86_64__
#define RSEQ_SIGNATURE 0x53053053 /* glibc's, which stands before every abort handler */
#else
#define RSEQ_SIGNATURE 0xd428bc00
#endif
#define RSEQ_BYTES 32 /* the size every kernel with rseq accepts */

#define KEYS_PER_BLOCK 32

struct key_value {
    uintptr_t sequence;
    void *data;
};

/* The calling thread's. */
static char *own_descriptor(void)
{
    return (char *)(uintptr_t)pthread_self();
}

bool fxi_libc_is_unwinding(void)
{
    enum { EXITING = 0x10 }; /* in cancelhandling: glibc's EXITING_BITMASK, 2.34 and newer */
    const int *handling =
        (const int *)(void *)(own_descriptor() + _thread_db_pthread_cancelhandling.offset);
    return fxi_load_relaxed(handling) & EXITING; /* written by the thread itself */
}

#ifndef FXI_TSAN

static void register_robust_list(void)
{
    fxi_syscall2(SYS_set_robust_list, own_descriptor() + fxi_tcb_layout.robust_head,
                 3 * sizeof(void *));
}

/* libc and programs read the processor's number from the area; one that is not registered must say
 * so, as 0 would mean processor 0. */
static void register_rseq(void)
{
    if (!&__rseq_size)
        return;
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    struct rseq *rseq = (struct rseq *)(void *)area;
    fxi_store_relaxed(&rseq->rseq_cs, 0);
    fxi_store_relaxed(&rseq->flags, 0);
    fxi_store_relaxed(&rseq->cpu_id_start, 0);
    fxi_store_relaxed(&rseq->cpu_id, (uint32_t)RSEQ_CPU_ID_UNINITIALIZED);
    size_t size = __rseq_size > RSEQ_BYTES ? __rseq_size : RSEQ_BYTES;
    if (__rseq_size == 0 || fxi_syscall4(SYS_rseq, rseq, size, 0, RSEQ_SIGNATURE) != 0)
        fxi_store_relaxed(&rseq->cpu_id, (uint32_t)RSEQ_CPU_ID_REGISTRATION_FAILED);
}

void fxi_libc_enter(void)
{
    __ctype_init();
    __resp = (struct __res_state *)(void *)(own_descriptor() + fxi_tcb_layout.resolver);
    register_robust_list();
    register_rseq();
}

#else
void fxi_libc_enter(void)
{
}
#endif

static bool destroy_key(pthread_key_t key, fxi_destructor_call call)
{
    void *value = pthread_getspecific(key); /* NULL for one whose key was deleted */
    void (*destructor)(void *) = fxi_load_relaxed(&__pthread_keys[key].destructor);
    if (!value)
        return false;
    pthread_setspecific(key, NULL);
    if (destructor)
        call(destructor, value);
    return destructor != NULL;
}

static bool destroy_key_values(fxi_destructor_call call)
{
    struct key_value **blocks =
        (struct key_value **)(void *)(own_descriptor() + fxi_tcb_layout.specific);
    bool found = false;
    for (unsigned b = 0; b < PTHREAD_KEYS_MAX / KEYS_PER_BLOCK; b++)
        for (unsigned i = 0; blocks[b] && i < KEYS_PER_BLOCK; i++)
            if (blocks[b][i].data)
                found |= destroy_key(b * KEYS_PER_BLOCK + i, call);
    return found;
}

#ifndef FXI_TSAN

static void destroy_objects(void *all)
{
    __call_tls_dtors();
    *(bool *)all = true;
}

bool fxi_libc_run_destructors(fxi_destructor_call call)
{
    /* libc takes an object from its list before it destroys it: what is left is destroyed next. */
    for (bool all = false; !all;)
        call(destroy_objects, &all);
    return destroy_key_values(call);
}

#else
/* The pthread underneath does it at its own end. */
bool fxi_libc_run_destructors(fxi_destructor_call call)
{
    (void)destroy_key_values;
    (void)call;
    return false;
}
#endif

void *fxi_libc_exit_result(void)
{
    void *result;
    memcpy(&result, own_descriptor() + fxi_tcb_layout.result, sizeof result);
    return result;
}

#ifndef FXI_TSAN

static void drop_key_values(void)
{
    struct key_value **blocks =
        (struct key_value **)(void *)(own_descriptor() + fxi_tcb_layout.specific);
    for (unsigned b = 0; b < PTHREAD_KEYS_MAX / KEYS_PER_BLOCK; b++)
        if (blocks[b])
            memset(blocks[b], 0, KEYS_PER_BLOCK * sizeof *blocks[b]);
}

static void reset_resolver(void)
{
    struct __res_state *state = __resp;
    if (state->options & RES_INIT)
        res_nclose(state);
    memset(state, 0, sizeof *state);
}

void fxi_libc_leave(void)
{
    if (&__libc_thread_freeres) {
        __libc_thread_freeres();
        return; /* a fully static program: the TCB is not recycled */
    }
    int old;
    uselocale(LC_GLOBAL_LOCALE);
    dlerror(); /* hands a pending message out */
    dlerror(); /* and frees it */
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    reset_resolver();
    drop_key_values();
    h_errno = 0;
    errno = 0;
}

#else
void fxi_libc_leave(void)
{
}
#endif
