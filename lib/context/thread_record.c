#include "context/thread_record.h"

#include <errno.h>
#include <string.h>

#include "libc/alloc.h"

int fxi_thread_record_rename(fx_thread *thread, const char *text)
{
    size_t bytes = strlen(text) + 1;
    struct fxi_thread_name *name = fxi_alloc(sizeof *name + bytes);
    if (!name)
        return -ENOMEM;
    memcpy(name->text, text, bytes);
    name->older = fxi_load_relaxed(&thread->name);
    /* acq_rel: the text is there for whoever loads the name (acquire, in fx_thread_name), and the
     * older one's for this thread */
    while (!fxi_cas_acq_rel(&thread->name, &name->older, name))
        ;
    return 0;
}

fx_thread *fxi_thread_record_new(enum fxi_thread_kind kind, const char *name)
{
    fx_thread *thread = fxi_alloc(sizeof *thread);
    if (!thread)
        return NULL;
    thread->kind = kind;
    thread->references = 1;
    thread->context.stop.disabled = kind == FXI_THREAD_OWN; /* until its function begins */
    if (fxi_thread_record_rename(thread, name) != 0) {
        fxi_free(thread);
        errno = ENOMEM;
        return NULL;
    }
    return thread;
}

/* What the program gave into the record's care. Its functions may use a handle, even keep one. */
static void give_back(fx_thread *thread)
{
    struct fxi_raised *raised = &thread->context.raised;
    if (thread->has_given_back)
        return;
    thread->has_given_back = true;
    if (!thread->has_begun && thread->free_arg)
        thread->free_arg(thread->arg);
    if (thread->result && !thread->result_was_fetched && thread->free_result)
        thread->free_result(thread->result);
    if (raised->payload && raised->free_payload)
        raised->free_payload(raised->payload);
    raised->payload = NULL;
}

static void free_record(fx_thread *thread)
{
    while (thread->name) {
        struct fxi_thread_name *older = thread->name->older;
        fxi_free(thread->name);
        thread->name = older;
    }
    fxi_free(thread->affinity);
    fxi_free(thread);
}

void fxi_thread_record_give_back_if_last(fx_thread *thread)
{
    /* acquire: as in fx_thread_unref */
    if (fxi_load_acquire(&thread->references) == 1)
        give_back(thread);
}

fx_thread *fx_thread_ref(fx_thread *thread)
{
    if (thread)
        fxi_add_relaxed(&thread->references, 1u); /* whoever calls this holds one already */
    return thread;
}

void fx_thread_unref(fx_thread *thread)
{
    /* acq_rel: all that other holders did to the record comes before its end */
    if (!thread || fxi_sub_acq_rel(&thread->references, 1u) != 1 || thread->kind == FXI_THREAD_MAIN)
        return;
    if (!thread->has_given_back) {
        fxi_store_relaxed(&thread->references, 1u); /* the caller's, once more: nobody else has one */
        give_back(thread);
        if (fxi_sub_acq_rel(&thread->references, 1u) != 1)
            return;
    }
    free_record(thread);
}
