/* int fxi_jump_save(struct fxi_jump *jump);                  rdi
 * void fxi_jump_to(const struct fxi_jump *jump, int value);  rdi, esi; does not return
 *
 * jump: 0 rbx, 8 rbp, 16 r12, 24 r13, 32 r14, 40 r15, 48 rsp after the return, 56 return address,
 * 64 shadow stack pointer after the return, 0 where no shadow stack is active. */

        .text
        .globl  fxi_jump_save
        .hidden fxi_jump_save
        .type   fxi_jump_save, @function
fxi_jump_save:
        .cfi_startproc
        mov     %rbx, 0(%rdi)
        mov     %rbp, 8(%rdi)
        mov     %r12, 16(%rdi)
        mov     %r13, 24(%rdi)
        mov     %r14, 32(%rdi)
        mov     %r15, 40(%rdi)
        lea     8(%rsp), %rax
        mov     %rax, 48(%rdi)
        mov     (%rsp), %rax
        mov     %rax, 56(%rdi)
        xor     %eax, %eax
        rdsspq  %rax                    /* leaves rax alone where no shadow stack is active */
        test    %rax, %rax
        jz      1f
        add     $8, %rax
1:      mov     %rax, 64(%rdi)
        xor     %eax, %eax
        ret
        .cfi_endproc
        .size   fxi_jump_save, . - fxi_jump_save

        .globl  fxi_jump_to
        .hidden fxi_jump_to
        .type   fxi_jump_to, @function
fxi_jump_to:
        .cfi_startproc
        .cfi_undefined rip              /* from the first register that it restores on it has no caller */
        xor     %eax, %eax
        rdsspq  %rax
        test    %rax, %rax
        jz      2f
        mov     64(%rdi), %rcx
        sub     %rax, %rcx
        jbe     2f
        shr     $3, %rcx                /* frames to drop, at most 255 at a time */
1:      mov     $255, %eax
        cmp     %rax, %rcx
        cmovb   %rcx, %rax
        incsspq %rax
        sub     %rax, %rcx
        ja      1b
2:      mov     %esi, %eax
        mov     0(%rdi), %rbx
        mov     8(%rdi), %rbp
        mov     16(%rdi), %r12
        mov     24(%rdi), %r13
        mov     32(%rdi), %r14
        mov     40(%rdi), %r15
        mov     56(%rdi), %rdx
        mov     48(%rdi), %rsp
        jmp     *%rdx
        .cfi_endproc
        .size   fxi_jump_to, . - fxi_jump_to

        .section .note.GNU-stack, "", @progbits
