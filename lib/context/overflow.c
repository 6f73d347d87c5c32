#include "context/overflow.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "context/task_stack.h"
#include "context/thread_record.h"

struct message {
    size_t length;
    char text[256];
};

static void add_text(struct message *message, const char *text)
{
    while (*text && message->length < sizeof message->text)
        message->text[message->length++] = *text++;
}

static void add_number(struct message *message, size_t number)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    add_text(message, digits + at);
}

/* `task_stack`: NULL, or it was that of a task which the thread runs. */
static void tell(const fx_thread *thread, const struct fxi_task_stack *task_stack)
{
    struct message message = { 0 };
    add_text(&message, task_stack ? "fxthread: a task of the worker \"" : "fxthread: thread \"");
    add_text(&message, fxi_load_acquire(&thread->name)->text);
    add_text(&message, "\" (native id ");
    add_number(&message, (size_t)thread->native_id);
    add_text(&message, ") overflowed its stack of ");
    add_number(&message, (task_stack ? task_stack->size : thread->carrier->stack.size) / 1024);
    add_text(&message, task_stack ? " KiB; set fx_thread_pool_attr.stack_size to more\n"
                                  : " KiB; set fx_thread_attr.stack_size or fx_stack_size() to more\n");
    ssize_t written = write(STDERR_FILENO, message.text, message.length);
    (void)written;
}

/* Runs on the thread's alternate stack. The default action is put back and the fault happens again,
 * so that a core file shows the place; a SIGSEGV that somebody sent is sent again. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    int saved_errno = errno;
    fx_thread *thread = fxi_current ? fxi_thread_of(fxi_current) : NULL;
    const struct fxi_task_stack *task_stack = thread ? fxi_current->stack : NULL;
    bool is_fault = info->si_code > 0;
    if (!is_fault || !thread || !thread->carrier)
        ; /* not ours to explain */
    else if (task_stack && fxi_task_stack_overflowed_at(task_stack, info->si_addr))
        tell(thread, task_stack);
    else if (fxi_stack_overflowed_at(&thread->carrier->stack, info->si_addr))
        tell(thread, NULL);
    signal(number, SIG_DFL);
    if (!is_fault)
        raise(number);
    errno = saved_errno;
}

void fxi_overflow_watch(void)
{
    struct sigaction present, ours = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    if (sigaction(SIGSEGV, NULL, &present) != 0 || (present.sa_flags & SA_SIGINFO) ||
        present.sa_handler != SIG_DFL)
        return;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGSEGV, &ours, NULL);
}
