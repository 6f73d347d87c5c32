/* What a thread is before its start and what can be asked of it at any time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "context/registry.h"
#include "kernel/clone.h"
#include "kernel/thread_name.h"
#include "libc/alloc.h"
#include "stop/raise.h"

static size_t default_stack_size; /* 0: FXI_STACK_SIZE_DEFAULT */

size_t fx_stack_size(size_t size)
{
    if (size != 0 && size < FXI_STACK_SIZE_MIN) {
        errno = EINVAL;
        return SIZE_MAX;
    }
    return __atomic_exchange_n(&default_stack_size, size, __ATOMIC_RELAXED);
}

static size_t wanted_stack_size(const fx_thread_attr *attr)
{
    size_t size = attr->stack_size ? attr->stack_size : fxi_load_relaxed(&default_stack_size);
    return size ? size : FXI_STACK_SIZE_DEFAULT;
}

static bool affinity_is_empty(const fx_thread_attr *attr)
{
    const unsigned char *bytes = (const unsigned char *)attr->affinity;
    for (size_t i = 0; i < attr->affinity_size; i++)
        if (bytes[i])
            return false;
    return true;
}

static bool attr_is_valid(const fx_thread_attr *attr)
{
    for (size_t i = 0; i < sizeof attr->reserved / sizeof attr->reserved[0]; i++)
        if (attr->reserved[i] != 0)
            return false;
    return (attr->stack_size == 0 || attr->stack_size >= FXI_STACK_SIZE_MIN) &&
           (unsigned)attr->stop_mode <= FX_STOP_ASYNC && !(attr->affinity && affinity_is_empty(attr));
}

static int copy_affinity(fx_thread *thread, const fx_thread_attr *attr)
{
    if (!attr->affinity)
        return 0;
    thread->affinity = fxi_alloc(attr->affinity_size);
    if (!thread->affinity)
        return -ENOMEM;
    memcpy(thread->affinity, attr->affinity, attr->affinity_size);
    thread->affinity_size = attr->affinity_size;
    return 0;
}

static fx_thread *new_record(const char *name)
{
    static unsigned last_number;
    char numbered[sizeof "Thread-4294967295"];
    if (!name)
        snprintf(numbered, sizeof numbered, "Thread-%u", fxi_add_relaxed(&last_number, 1u) + 1);
    return fxi_thread_record_new(FXI_THREAD_OWN, name ? name : numbered);
}

fx_thread *fx_thread_new(fx_target fn, void *arg, const fx_thread_attr *attr)
{
    static const fx_thread_attr defaults;
    attr = attr ? attr : &defaults;
    if (!fn || !attr_is_valid(attr)) {
        errno = EINVAL;
        return NULL;
    }
    struct fxi_context *self = fxi_self();
    fx_thread *thread = self ? new_record(attr->name) : NULL;
    if (!thread)
        return NULL;
    if (copy_affinity(thread, attr) != 0) {
        fx_thread_unref(thread);
        errno = ENOMEM;
        return NULL;
    }
    thread->fn = fn;
    thread->arg = arg;
    thread->daemon = attr->daemon || fxi_thread_begets_daemons(self);
    thread->context.stop.mode = (uint8_t)attr->stop_mode;
    thread->stack_size = wanted_stack_size(attr);
    thread->free_arg = attr->free_arg;
    thread->free_result = attr->free_result;
    return thread;
}

bool fx_thread_is_alive(const fx_thread *thread)
{
    return thread && fxi_thread_is_alive(thread);
}

bool fx_thread_daemon(const fx_thread *thread)
{
    return thread && fxi_load_relaxed(&thread->daemon);
}

int fx_thread_set_daemon(fx_thread *thread, bool daemon)
{
    if (!thread)
        return -EINVAL;
    if (thread->kind != FXI_THREAD_OWN || fxi_thread_state(thread) != FXI_THREAD_NEW)
        return -EBUSY;
    fxi_store_relaxed(&thread->daemon, daemon);
    return 0;
}

const char *fx_thread_name(const fx_thread *thread)
{
    /* acquire: pairs with fxi_thread_record_rename */
    return thread ? fxi_load_acquire(&thread->name)->text : "";
}

int fx_thread_set_name(fx_thread *thread, const char *name)
{
    if (!thread || !name)
        return -EINVAL;
    int rc = fxi_thread_record_rename(thread, name);
    if (rc != 0)
        return rc;
    /* Under the lock a thread that is alive keeps its native id. */
    fxi_sigmask mask = fxi_registry_lock();
    if (fxi_thread_is_alive(thread))
        fxi_kernel_name_set(fxi_load_relaxed(&thread->native_id), fx_thread_name(thread));
    fxi_registry_unlock(mask);
    return 0;
}

uint64_t fx_thread_ident(const fx_thread *thread)
{
    return thread ? fxi_load_relaxed(&thread->ident) : 0;
}

pid_t fx_thread_native_id(const fx_thread *thread)
{
    return thread ? fxi_load_relaxed(&thread->native_id) : 0;
}

fx_exc fx_thread_exception(const fx_thread *thread)
{
    return thread && fxi_thread_state(thread) == FXI_THREAD_ENDED ? thread->exception : 0;
}

int fx_thread_exception_info(fx_thread *thread, fx_exc_info *info)
{
    if (!thread)
        return -EINVAL;
    switch (fxi_thread_state(thread)) {
    case FXI_THREAD_NEW:
    case FXI_THREAD_STARTING:
        return -EINVAL;
    case FXI_THREAD_ALIVE:
    case FXI_THREAD_EXITING:
    case FXI_THREAD_LOST:
        return -EBUSY;
    case FXI_THREAD_ENDED:
        break;
    }
    if (!info)
        return 0;
    *info = thread->exception ? fxi_raised_info(&thread->context.raised) : (fx_exc_info){ .message = "" };
    return 0;
}
