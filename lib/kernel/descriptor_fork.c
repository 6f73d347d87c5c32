#include "kernel/descriptor_fork.h"

#include "base/compiler.h"
#include "kernel/lowlock.h"
#include "kernel/syscall.h"

enum { BITS = 64, WORDS = FXI_DESCRIPTORS_NOTED / BITS };

/* A bit for each number; `used` words may have any. The lock is a leaf. */
static struct {
    fxi_lowlock lock;
    uint64_t bits[WORDS];
    unsigned used;
} noted;

static bool can_be_noted(int descriptor)
{
    return descriptor >= 0 && descriptor < FXI_DESCRIPTORS_NOTED;
}

fxi_sigmask fxi_descriptors_begin(void)
{
    fxi_sigmask mask = fxi_signals_set(FXI_SIGNALS_BUT_SETXID);
    fxi_lowlock_acquire(&noted.lock);
    return mask;
}

void fxi_descriptors_made(fxi_sigmask mask, const int *made, int n)
{
    for (int i = 0; i < n; i++) {
        unsigned word = (unsigned)made[i] / BITS;
        if (!can_be_noted(made[i]))
            continue;
        noted.bits[word] |= UINT64_C(1) << (made[i] % BITS);
        if (noted.used <= word)
            noted.used = word + 1;
    }
    fxi_lowlock_release(&noted.lock);
    fxi_signals_set(mask);
}

void fxi_descriptor_close_noted(int descriptor)
{
    fxi_sigmask mask = fxi_descriptors_begin();
    if (can_be_noted(descriptor))
        noted.bits[descriptor / BITS] &= ~(UINT64_C(1) << (descriptor % BITS));
    fxi_syscall1(SYS_close, descriptor);
    fxi_descriptors_made(mask, NULL, 0);
}

void fxi_descriptors_forget(void)
{
    while (noted.used > 0)
        noted.bits[--noted.used] = 0;
}

void fxi_descriptors_before_fork(void)
{
    fxi_lowlock_acquire(&noted.lock);
}

static void close_word(unsigned word)
{
    for (uint64_t left = noted.bits[word]; left != 0; left &= left - 1)
        fxi_syscall1(SYS_close, word * BITS + (unsigned)__builtin_ctzll(left));
}

void fxi_descriptors_after_fork(bool in_child, bool is_own)
{
    for (unsigned word = 0; in_child && !is_own && word < noted.used; word++)
        close_word(word);
    if (in_child)
        fxi_descriptors_forget();
    fxi_lowlock_release(&noted.lock);
}
