/* long fxi_clone(unsigned long flags, void *stack, uint32_t *parent_tid, uint32_t *child_tid,
 *                void *thread_pointer, void (*entry)(void *), void *arg);
 *
 *          flags  stack  parent_tid  child_tid  thread_pointer  entry  arg
 *   ours   rdi    rsi    rdx         rcx        r8              r9     8(rsp)
 *   kernel rdi    rsi    rdx         r10        r8
 *
 * In the new thread every register but rax, rcx and r11 is as it was here, and so r9 still holds
 * entry; arg travels on the new stack. The frame of the new thread is the outermost one: its return
 * address is declared undefined, where unwinders end, and rbp is 0, where frame walkers do. */

        .text
        .globl  fxi_clone
        .hidden fxi_clone
        .type   fxi_clone, @function
fxi_clone:
        .cfi_startproc
        mov     8(%rsp), %rax
        and     $-16, %rsi
        sub     $64, %rsi               /* room above the first frame, for those who look there */
        mov     %rax, (%rsi)
        mov     %rcx, %r10
        mov     $56, %eax               /* __NR_clone */
        syscall
        test    %eax, %eax
        jz      1f
        ret
        .cfi_endproc

        .cfi_startproc
        .cfi_undefined rip
        nop                             /* unwinders look up the byte before a return address */
1:      xor     %ebp, %ebp
        mov     (%rsp), %rdi
        call    *%r9
        xor     %edi, %edi
        mov     $60, %eax               /* __NR_exit: this thread alone */
        syscall
        ud2
        .cfi_endproc
        .size   fxi_clone, . - fxi_clone

        .section .note.GNU-stack, "", @progbits
