/* int fx_scope_save(struct fx_try *scope);    rdi
 * void fx_scope_leave(struct fx_try *scope);  rdi
 *
 * The part of lib/stop/scope.c that has no frame of its own. scope: 16 state, 32 registers, 208 back,
 * both as a struct fxi_jump: see jump.S. lib/stop/scope.c asserts these offsets.
 *
 * fx_scope_leave is called where the block of the scope is left. It notes its own return, and
 * fxi_scope_left(scope) goes on in its place: by returning there, or by a jump to `registers`, in
 * which case a jump to `back` is the return, later. */

        .text
        .globl  fx_scope_save
        .type   fx_scope_save, @function
fx_scope_save:
        .cfi_startproc
        add     $32, %rdi
        jmp     fxi_jump_save
        .cfi_endproc
        .size   fx_scope_save, . - fx_scope_save

        .globl  fx_scope_leave
        .type   fx_scope_leave, @function
fx_scope_leave:
        .cfi_startproc
        cmpl    $0, 16(%rdi)            /* FX_SCOPE_OVER */
        jne     1f
        ret
1:      mov     %rbx, 208(%rdi)
        mov     %rbp, 216(%rdi)
        mov     %r12, 224(%rdi)
        mov     %r13, 232(%rdi)
        mov     %r14, 240(%rdi)
        mov     %r15, 248(%rdi)
        lea     8(%rsp), %rax
        mov     %rax, 256(%rdi)
        mov     (%rsp), %rax
        mov     %rax, 264(%rdi)
        xor     %eax, %eax
        rdsspq  %rax                    /* leaves rax alone where no shadow stack is active */
        test    %rax, %rax
        jz      2f
        add     $8, %rax
2:      mov     %rax, 272(%rdi)
        jmp     fxi_scope_left
        .cfi_endproc
        .size   fx_scope_leave, . - fx_scope_leave

        .section .note.GNU-stack, "", @progbits
