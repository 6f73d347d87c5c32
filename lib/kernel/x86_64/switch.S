/* void fxi_switch(void **saved, void *to);                                     rdi, rsi
 * void *fxi_switch_prepare(void *top, void (*entry)(void *), void *arg);       rdi, rsi, rdx
 *
 * What stands at a saved stack pointer: 0 mxcsr, 4 the x87 control word, 8 r15, 16 r14, 24 r13,
 * 32 r12, 40 rbx, 48 rbp, 56 return address. */

        .text
        .globl  fxi_switch
        .hidden fxi_switch
        .type   fxi_switch, @function
fxi_switch:
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        push    %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        push    %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        push    %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        push    %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr 0(%rsp)
        fnstcw  4(%rsp)
        mov     %rsp, (%rdi)
        mov     %rsi, %rsp
        ldmxcsr 0(%rsp)
        fldcw   4(%rsp)
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop     %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        pop     %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        pop     %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        pop     %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        pop     %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
        .cfi_endproc
        .size   fxi_switch, . - fxi_switch

        .globl  fxi_switch_prepare
        .hidden fxi_switch_prepare
        .type   fxi_switch_prepare, @function
fxi_switch_prepare:
        .cfi_startproc
        and     $-16, %rdi
        lea     -128(%rdi), %rax        /* room above the first frame, for those who look there */
        stmxcsr 0(%rax)
        fnstcw  4(%rax)
        xor     %ecx, %ecx
        mov     %rcx, 8(%rax)
        mov     %rcx, 16(%rax)
        mov     %rdx, 24(%rax)          /* r13: arg */
        mov     %rsi, 32(%rax)          /* r12: entry */
        mov     %rcx, 40(%rax)
        mov     %rcx, 48(%rax)
        lea     1f(%rip), %rcx
        mov     %rcx, 56(%rax)
        ret
        .cfi_endproc

        .cfi_startproc
        .cfi_undefined rip
        nop                             /* unwinders look up the byte before a return address */
1:      mov     %r13, %rdi
        call    *%r12                   /* rsp is 64 bytes below the aligned top */
        ud2
        .cfi_endproc
        .size   fxi_switch_prepare, . - fxi_switch_prepare

        .section .note.GNU-stack, "", @progbits
