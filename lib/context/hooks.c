#include "context/hooks.h"

/* Written by constructors only, which run before there can be a second thread that looks, or under
 * the dynamic loader's lock. The latest comes first. */
static struct fxi_hooks *latest;

void fxi_hooks_register(struct fxi_hooks *hooks)
{
    hooks->next = latest;
    latest = hooks;
}

void fxi_hooks_before_fork(void)
{
    for (struct fxi_hooks *hooks = latest; hooks; hooks = hooks->next)
        if (hooks->before_fork)
            hooks->before_fork();
}

static void after_fork_from(struct fxi_hooks *hooks, bool in_child)
{
    if (!hooks)
        return;
    after_fork_from(hooks->next, in_child); /* the earliest first */
    if (hooks->after_fork)
        hooks->after_fork(in_child);
}

void fxi_hooks_after_fork(bool in_child)
{
    after_fork_from(latest, in_child);
}

void fxi_hooks_program_exit(void)
{
    for (struct fxi_hooks *hooks = latest; hooks; hooks = hooks->next)
        if (hooks->program_exit)
            hooks->program_exit();
}

void fxi_hooks_foreign_end(fx_thread *thread)
{
    for (struct fxi_hooks *hooks = latest; hooks; hooks = hooks->next)
        if (hooks->foreign_end)
            hooks->foreign_end(thread);
}
