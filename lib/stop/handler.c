/* What the handler does with a context of which something was asked:
 *
 *   inhibited by fx_stop_disable(), by a scope, or at its beginning or end
 *                           nothing: the end of that looks (stop.h)
 *   free                    its return leads to the raise, in place of the interrupted instruction
 *   foreign frames          the return address of the outermost one is replaced, and the signal sent
 *                           again in a moment: a function that blocks is interrupted by it once more,
 *                           if it had not begun to block yet
 *   busy, or blind          the signal is sent again in a moment
 *
 * One that is about to make a system call that a stop ends (stop/call.h) does not make it.
 *
 * The handler itself never jumps: it edits the context that the kernel restores, mask and signal stack
 * included, when it returns. It trusts nothing that an earlier run of it has seen. */
#include "stop/handler.h"

#include <errno.h>
#include <signal.h>
#include <ucontext.h>

#include <fxthread/duration.h>
#include <fxthread/stop.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "kernel/clone.h"
#include "kernel/lowlock.h"
#include "kernel/signal.h"
#include "kernel/thread_timer.h"
#include "stop/call.h"
#include "stop/own.h"
#include "stop/stop.h"
#include "stop/trampoline.h"
#include "stop/walk.h"

#define FIRST_RETRY FX_MSEC(1)
#define RETRY_DOUBLINGS 3
#define SOON FX_USEC(200)
#define SOON_SPREAD (FX_MSEC(1) - 1) /* added to that, at random */
#define SOON_MOST 1000               /* for one stop; later */
#define NOT_SO_SOON FX_MSEC(4)
#define TICK FX_USEC(200)
#define TICK_OF_LATE FX_MSEC(5)

static char mark, tick; /* their addresses are the values of our signals */
static _Thread_local struct fxi_thread_timer timer, ticker;
static _Thread_local bool timer_is_set;
static struct sigaction former; /* the handler that was there before */

extern const char fxi_stop_land[]; /* assembly */

int fx_stop_signal(void)
{
    return FXI_STOP_SIGNAL;
}

/* --- acting ----------------------------------------------------------------------------------- */

static uintptr_t interrupted_at(const ucontext_t *context)
{
#if defined __x86_64__
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t)context->uc_mcontext.pc;
#endif
}

/* Lets the handler's return lead to fxi_stop_land. */
static void land(ucontext_t *context)
{
    enum { RED_ZONE = 128, ALIGNMENT = 16 };
#if defined __x86_64__
    greg_t *registers = context->uc_mcontext.gregs;
    registers[REG_RSP] = (registers[REG_RSP] - RED_ZONE) & -ALIGNMENT;
    registers[REG_RIP] = (greg_t)fxi_stop_land;
#else
    context->uc_mcontext.sp = (context->uc_mcontext.sp - RED_ZONE) & -(uint64_t)ALIGNMENT;
    context->uc_mcontext.pc = (uintptr_t)fxi_stop_land;
#endif
}

/* In FX_STOP_ASYNC other libraries' frames do not count, and what cannot be told is taken to be free;
 * this library's do. */
static bool is_free(const struct fxi_context *self, const struct fxi_walk *walk,
                    const ucontext_t *context)
{
    if (walk->verdict == FXI_WALK_FREE)
        return true;
    return self->stop.mode == FX_STOP_ASYNC && walk->verdict != FXI_WALK_BUSY &&
           !walk->meets_library && fxi_code_at(interrupted_at(context)) != FXI_CODE_LIBRARY;
}

/* The few instructions of a call look for themselves, but where they have done so. */
static void interrupt_call(struct fxi_context *self, ucontext_t *context)
{
    if (fxi_load_relaxed(&self->stop.asked) == 0)
        return;
    uintptr_t to = fxi_stop_call_after_stop(interrupted_at(context));
#if defined __x86_64__
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)to;
#else
    context->uc_mcontext.pc = to;
#endif
}

static void attempt(struct fxi_context *self, ucontext_t *context)
{
    if (fxi_stop_call_contains(interrupted_at(context))) {
        interrupt_call(self, context);
        return;
    }
    if (!fxi_stop_may_raise_now(self)) {
        if (self->stop.calls && fxi_load_relaxed(&self->stop.asked) != 0)
            fxi_handler_retry(self, false); /* a handler of the program's has interrupted the call */
        return;
    }
    struct fxi_walk walk = fxi_walk_from_interrupted(self);
    if (is_free(self, &walk, context)) {
        land(context);
        return;
    }
    if (walk.verdict == FXI_WALK_FOREIGN)
        fxi_trampoline_plant(self, &walk);
    fxi_handler_retry(self, walk.verdict == FXI_WALK_FOREIGN);
}

static bool is_ours(const siginfo_t *info)
{
    const void *value = info->si_value.sival_ptr;
    return (info->si_code == SI_TIMER && (value == &mark || value == &tick)) ||
           (info->si_code == SI_QUEUE && value == &mark && info->si_pid == fxi_getpid());
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    if (former.sa_flags & SA_SIGINFO)
        former.sa_sigaction(number, info, context);
    else if (former.sa_handler != SIG_DFL && former.sa_handler != SIG_IGN)
        former.sa_handler(number);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    struct fxi_context *self = fxi_current;
    if (!is_ours(info)) {
        pass_on(number, info, context);
    } else if (info->si_value.sival_ptr == &mark && !FXI_HANDLER_IS_LATE) {
        if (info->si_code == SI_TIMER)
            timer_is_set = false;
        if (self)
            attempt(self, context);
    } /* of a tick all that is wanted is that it interrupts */
    errno = saved_errno;
}

/* --- sending ---------------------------------------------------------------------------------- */

static fxi_lowlock installing;

static FXI_COLD void install(bool *installed)
{
    struct sigaction ours = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK }, before;
    sigfillset(&ours.sa_mask);
    fxi_walk_prepare();
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_lowlock_acquire(&installing);
    sigaction(FXI_STOP_SIGNAL, NULL, &before);
    if (!(before.sa_flags & SA_SIGINFO) || before.sa_sigaction != on_signal) {
        former = before;
        sigaction(FXI_STOP_SIGNAL, &ours, NULL);
    }
    fxi_store_release(installed, true);
    fxi_lowlock_release(&installing);
    fxi_signals_set(mask);
}

void fxi_handler_install(void)
{
    static bool installed;
    if (fxi_unlikely(!fxi_load_acquire(&installed))) /* acquire: pairs with the release in install */
        install(&installed);
}

static bool arrives_anywhere(const struct fxi_stop *stop)
{
    uint8_t mode = fxi_load_relaxed(&stop->mode);
    return mode == FX_STOP_ASYNC || (mode == FX_STOP_SAFE && fxi_walk_is_possible());
}

int fxi_handler_send(const struct fxi_context *context, pid_t thread_id, bool anywhere)
{
    if (FXI_HANDLER_IS_LATE || (!(anywhere && arrives_anywhere(&context->stop)) &&
                                !fxi_stop_call_is_under_way(context)))
        return 0;
    return fxi_signal_queue(thread_id, FXI_STOP_SIGNAL, &mark) == -EAGAIN ? -EAGAIN : 0;
}

static fx_nsec retry_delay(struct fxi_stop *stop, bool awaits_return)
{
    unsigned attempts = stop->attempts < UINT16_MAX ? stop->attempts++ : UINT16_MAX;
    if (awaits_return)
        return FIRST_RETRY << (attempts < RETRY_DOUBLINGS ? attempts : RETRY_DOUBLINGS);
    uint64_t mixed = (uint64_t)fx_now() * UINT64_C(0x9e3779b97f4a7c15); /* Fibonacci hashing */
    return SOON + (fx_nsec)((mixed >> 32) * SOON_SPREAD >> 32) +
           (attempts < SOON_MOST ? 0 : NOT_SO_SOON);
}

void fxi_handler_retry(struct fxi_context *self, bool awaits_return)
{
    struct fxi_stop *stop = &self->stop;
    if (FXI_HANDLER_IS_LATE || timer_is_set ||
        (!stop->calls && !(stop->base && arrives_anywhere(stop))))
        return;
    timer_is_set = true; /* first: its signal may come at once, and says that it is not any more */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (fxi_thread_timer_set(&timer, FXI_STOP_SIGNAL, &mark, retry_delay(stop, awaits_return), 0) !=
        0)
        timer_is_set = false; /* no timer to spare in the process: the stop waits for a stop point */
}

int fxi_handler_begin_ticks(fx_deadline deadline)
{
    fx_nsec every = FXI_HANDLER_IS_LATE ? TICK_OF_LATE : TICK, after = every;
    if (deadline != FX_FOREVER && !FXI_HANDLER_IS_LATE) {
        fx_deadline now = fx_now();
        after = deadline > now ? deadline - now : 1;
    }
    fxi_handler_install();
    return fxi_thread_timer_set(&ticker, FXI_STOP_SIGNAL, &tick, after, every);
}

void fxi_handler_end_ticks(void)
{
    fxi_thread_timer_unset(&ticker);
}

void fxi_handler_end_of_thread(void)
{
    fxi_thread_timer_delete(&timer);
    fxi_thread_timer_delete(&ticker);
    timer_is_set = false;
}

void fxi_handler_after_fork_in_child(void)
{
    installing = 0; /* a thread that is none of the child's may have had it */
    timer.is_made = ticker.is_made = timer_is_set = false; /* a child has none of its parent's */
}
