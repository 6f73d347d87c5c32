/* In place of tcb.c in the test build for ThreadSanitizer, whose runtime knows only threads made by
 * pthread_create: a thread is a pthread here, on a stack and a TCB of libc's. Everything above this
 * seam is the code that users run. */
#include <errno.h>
#include <pthread.h>

#include "base/atomic.h"
#include "kernel/clone.h"
#include "kernel/futex.h"
#include "kernel/inject.h"
#include "kernel/signal.h"
#include "libc/tcb.h"

int fxi_tcb_make(struct fxi_tcb *tcb)
{
    static char made;
    int rc = fxi_inject(FXI_INJECT_ALLOC);
    tcb->thread_pointer = rc == 0 ? &made : NULL;
    tcb->linked = false;
    return rc;
}

int fxi_tcb_recycle(struct fxi_tcb *tcb)
{
    (void)tcb;
    return 0;
}

void fxi_tcb_free(struct fxi_tcb *tcb)
{
    tcb->thread_pointer = NULL;
}

bool fxi_tcb_is_recyclable(void)
{
    return true;
}

/* `linked`: a pthread is on it. */
bool fxi_tcb_is_free(struct fxi_tcb *tcb)
{
    return !fxi_load_acquire(&tcb->linked); /* acquire: pairs with the release in start */
}

static void *start(void *arg)
{
    struct fxi_tcb *tcb = arg;
    fxi_store_release(&tcb->tid, (uint32_t)fxi_gettid()); /* release: with the launcher's acquire */
    fxi_futex_wake(&tcb->tid, 1);
    fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    tcb->entry(tcb->arg);
    fxi_store_release(&tcb->linked, false); /* the pthread's last touch of it */
    return NULL;
}

pid_t fxi_tcb_launch(struct fxi_tcb *tcb, void *stack, size_t stack_size, void (*entry)(void *),
                     void *arg)
{
    (void)stack;
    int rc = fxi_inject(FXI_INJECT_CLONE);
    if (rc != 0)
        return rc;
    pthread_attr_t attr;
    rc = pthread_attr_init(&attr);
    if (rc != 0)
        return -rc;
    pthread_attr_setstacksize(&attr, stack_size);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    tcb->entry = entry;
    tcb->arg = arg;
    tcb->tid = 0;
    tcb->linked = true;
    pthread_t thread;
    rc = pthread_create(&thread, &attr, start, tcb);
    if (rc == 0) {
        while (fxi_load_acquire(&tcb->tid) == 0)
            fxi_futex_wait(&tcb->tid, 0, FX_FOREVER);
    }
    if (rc != 0)
        tcb->linked = false;
    pthread_attr_destroy(&attr);
    return rc == 0 ? (pid_t)tcb->tid : -rc;
}

pid_t fxi_tcb_tid(const struct fxi_tcb *tcb)
{
    return (pid_t)tcb->tid;
}

const uint32_t *fxi_tcb_end_word(const struct fxi_tcb *tcb)
{
    (void)tcb;
    return NULL;
}

void fxi_tcb_retire(struct fxi_tcb *tcb)
{
    (void)tcb;
}

void fxi_tcb_resume(struct fxi_tcb *tcb)
{
    (void)tcb;
}

void fxi_tcb_relink(struct fxi_tcb *tcb, bool runs)
{
    if (!runs)
        tcb->linked = false;
}
