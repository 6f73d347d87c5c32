#include "stop/excepthook.h"

#include <stdio.h>
#include <string.h>

#include "stop/raise.h"

static void write_to_stderr(fx_thread *thread, const fx_exc_info *info)
{
    char line[512];
    const char *name = fx_exc_name(info->code);
    const char *meaning = info->code < 0 ? strerrordesc_np(-info->code) : NULL;
    snprintf(line, sizeof line, "Exception in thread \"%s\": %s%s%s%s%s%s", fx_thread_name(thread),
             name, meaning ? " (" : "", meaning ? meaning : "", meaning ? ")" : "",
             info->message[0] ? ": " : "", info->message);
    if (info->file)
        fprintf(stderr, "%s, raised at %s:%d\n", line, info->file, info->line);
    else
        fprintf(stderr, "%s\n", line);
}

static fx_excepthook present = write_to_stderr;

fx_excepthook fx_set_excepthook(fx_excepthook hook)
{
    /* acq_rel: what a hook's setter prepared for it is there when a thread calls it */
    return fxi_exchange_acq_rel(&present, hook ? hook : write_to_stderr);
}

void fxi_excepthook_tell(fx_thread *thread, const struct fxi_raised *raised)
{
    fx_exc_info info = fxi_raised_info(raised);
    if (info.code == FX_STOPPED || info.code == FX_EXITED)
        return;
    fxi_load_acquire(&present)(thread, &info); /* acquire: pairs with fx_set_excepthook */
}

void fxi_excepthook_call(fx_thread *thread)
{
    fxi_excepthook_tell(thread, &thread->context.raised);
}
