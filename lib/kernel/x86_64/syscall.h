/* The x86_64 system call: number in rax, arguments in rdi rsi rdx r10 r8 r9, result in rax; rcx and
 * r11 are lost (the kernel's Documentation/arch/x86/entry_64.rst). */
#ifndef FXI_KERNEL_X86_64_SYSCALL_H
#define FXI_KERNEL_X86_64_SYSCALL_H

static inline long fxi_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
