/* The list of threads, its lock, and signal 33.
 *
 * setuid() and its family hold libc's lock of the list from marking the threads until every one of
 * them has run the handler of signal 33 (glibc's nptl/nptl_setxid.c). So the library never blocks
 * that signal, not even in a thread that is being born: its first instruction runs on a TCB that is
 * complete, which is all that the handler needs. And a thread is marked as ended under the lock:
 * either before such a call begins, and it is passed over, or after, when it has handled the signal. */
#include "libc/tcb.h"

#include <sched.h>
#include <string.h>

#include "base/atomic.h"
#include "base/list.h"
#include "kernel/clone.h"
#include "kernel/inject.h"
#include "kernel/lowlock.h"
#include "libc/alloc.h"
#include "libc/private.h"
#include "libc/tcb_layout.h"
#include "libc/tls_reset.h"

#define THREAD_FLAGS                                                                           \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |        \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

#if defined __x86_64__
/* The words of the TCB that the x86-64 ABI and libc's code share (glibc's
 * sysdeps/x86_64/nptl/tls.h). */
enum {
    TCB_SELF = 0x00,
    TCB_DESCRIPTOR = 0x10,
    TCB_MULTIPLE_THREADS = 0x18,
    TCB_STACK_GUARD = 0x28,
    TCB_POINTER_GUARD = 0x30,
    TCB_FEATURES = 0x48
};

static void copy_word(char *to, const char *from, size_t offset, size_t size)
{
    memcpy(to + offset, from + offset, size);
}

static void prepare_abi_words(char *thread_pointer)
{
    const char *creator = __builtin_thread_pointer();
    uint32_t several = 1;
    memcpy(thread_pointer + TCB_SELF, &thread_pointer, sizeof thread_pointer);
    memcpy(thread_pointer + TCB_DESCRIPTOR, &thread_pointer, sizeof thread_pointer);
    memcpy(thread_pointer + TCB_MULTIPLE_THREADS, &several, sizeof several);
    copy_word(thread_pointer, creator, TCB_STACK_GUARD, sizeof(uintptr_t));
    copy_word(thread_pointer, creator, TCB_POINTER_GUARD, sizeof(uintptr_t));
    copy_word(thread_pointer, creator, TCB_FEATURES, sizeof(uint32_t));
}
#else
/* aarch64 keeps the guards in globals; of the descriptor's first word glibc reads only whether there
 * are several threads. */
static void prepare_abi_words(char *thread_pointer)
{
    uint32_t several = 1;
    memcpy(fxi_descriptor_of(thread_pointer), &several, sizeof several);
}
#endif

static fxi_lowlock own_lock; /* in libc's lock's place where that could not be found */

static fxi_lowlock *list_lock(void)
{
    return fxi_tcb_layout.threads_lock ? fxi_tcb_layout.threads_lock : &own_lock;
}

static char *descriptor(const struct fxi_tcb *tcb)
{
    return fxi_descriptor_of(tcb->thread_pointer);
}

static uint32_t *tid_word(const struct fxi_tcb *tcb)
{
    return (uint32_t *)(void *)(descriptor(tcb) + fxi_tcb_layout.tid);
}

static int *cancel_word(const struct fxi_tcb *tcb)
{
    return (int *)(void *)(descriptor(tcb) + fxi_tcb_layout.cancelhandling);
}

static struct fxi_list *list_node(const struct fxi_tcb *tcb)
{
    return (struct fxi_list *)(void *)(descriptor(tcb) + fxi_tcb_layout.list);
}

static void link_into_list(struct fxi_tcb *tcb)
{
    if (fxi_tcb_layout.threads)
        fxi_list_push_front(fxi_tcb_layout.threads, list_node(tcb));
    else
        fxi_list_init(list_node(tcb)); /* a list of its own, from which fork can unlink it */
    tcb->linked = true;
}

int fxi_tcb_make(struct fxi_tcb *tcb)
{
    tcb->thread_pointer = fxi_inject(FXI_INJECT_ALLOC) == 0 ? _dl_allocate_tls(NULL) : NULL;
    tcb->linked = false;
    return tcb->thread_pointer ? 0 : -ENOMEM;
}

int fxi_tcb_recycle(struct fxi_tcb *tcb)
{
    return fxi_tls_reset(tcb->thread_pointer, &tcb->lacks_tls);
}

bool fxi_tcb_is_recyclable(void)
{
    return &_dl_stack_user == NULL;
}

void fxi_tcb_free(struct fxi_tcb *tcb)
{
    if (!tcb->thread_pointer)
        return;
    if (tcb->linked) {
        fxi_lowlock_acquire(list_lock());
        fxi_list_remove(list_node(tcb));
        fxi_lowlock_release(list_lock());
    }
    _dl_deallocate_tls(tcb->thread_pointer, true);
    tcb->thread_pointer = NULL;
}

static void store_pointer(char *descriptor, size_t offset, const void *value)
{
    memcpy(descriptor + offset, &value, sizeof value);
}

static void prepare(struct fxi_tcb *tcb, void *stack, size_t stack_size)
{
    const struct fxi_tcb_layout *layout = &fxi_tcb_layout;
    char *own = descriptor(tcb);
    char *robust_head = own + layout->robust_head;
    prepare_abi_words(tcb->thread_pointer);
    store_pointer(own, layout->stack_base, stack);
    memcpy(own + layout->stack_size, &stack_size, sizeof stack_size);
    store_pointer(own, layout->result, NULL);
    store_pointer(own, layout->specific, own + layout->first_keys);
    store_pointer(robust_head, 0, robust_head);
    store_pointer(robust_head, sizeof(void *), (void *)FXI_ROBUST_LOCK_OFFSET);
    store_pointer(robust_head, sizeof(void *) + sizeof(long), NULL);
    if (layout->robust_prev)
        store_pointer(own, layout->robust_prev, robust_head);
    fxi_store_relaxed(cancel_word(tcb), 0);
    if (!tcb->linked)
        link_into_list(tcb);
}

static void mark_ended(struct fxi_tcb *tcb)
{
    fxi_or_relaxed(cancel_word(tcb), fxi_tcb_layout.ended);
}

void fxi_tcb_relink(struct fxi_tcb *tcb, bool runs)
{
    if (!tcb->thread_pointer)
        return;
    if (runs) {
        /* libc has put it on its list of stacks of its own, where it does not belong. */
        if (fxi_tcb_layout.threads)
            fxi_list_remove(list_node(tcb));
    } else {
        fxi_store_relaxed(tid_word(tcb), 0u);
        mark_ended(tcb);
    }
    link_into_list(tcb);
}

bool fxi_tcb_is_free(struct fxi_tcb *tcb)
{
    /* acquire: pairs with the kernel's clearing of the word, which follows all that the thread
     * did */
    return !tcb->thread_pointer || fxi_load_acquire(tid_word(tcb)) == 0;
}

pid_t fxi_tcb_tid(const struct fxi_tcb *tcb)
{
    return (pid_t)fxi_load_relaxed(tid_word(tcb));
}

const uint32_t *fxi_tcb_end_word(const struct fxi_tcb *tcb)
{
    return tid_word(tcb);
}

void fxi_tcb_retire(struct fxi_tcb *tcb)
{
    fxi_lowlock_acquire(list_lock());
    mark_ended(tcb);
    fxi_lowlock_release(list_lock());
}

void fxi_tcb_resume(struct fxi_tcb *tcb)
{
    fxi_and_relaxed(cancel_word(tcb), ~fxi_tcb_layout.ended);
}

pid_t fxi_tcb_launch(struct fxi_tcb *tcb, void *stack, size_t stack_size, void (*entry)(void *),
                     void *arg)
{
    fxi_lowlock_acquire(list_lock());
    prepare(tcb, stack, stack_size);
    uint32_t *tid = tid_word(tcb);
    long rc = fxi_inject(FXI_INJECT_CLONE);
    if (rc == 0)
        rc = fxi_clone(THREAD_FLAGS, (char *)stack + stack_size, tid, tid, tcb->thread_pointer, entry,
                       arg);
    if (rc < 0)
        mark_ended(tcb); /* linked and without a thread: parked */
    fxi_lowlock_release(list_lock());
    return (pid_t)rc;
}
