/* int fx_scope_save(struct fx_try *scope);    x0
 * void fx_scope_leave(struct fx_try *scope);  x0
 *
 * The part of lib/stop/scope.c that has no frame of its own. scope: 16 state, 32 registers, 208 back,
 * both as a struct fxi_jump: see jump.S. lib/stop/scope.c asserts these offsets.
 *
 * fx_scope_leave is called where the block of the scope is left. It notes its own return, and
 * fxi_scope_left(scope) goes on in its place: by returning there, or by a jump to `registers`, in
 * which case a jump to `back` is the return, later. */

        .text
        .globl  fx_scope_save
        .type   fx_scope_save, %function
fx_scope_save:
        .cfi_startproc
        add     x0, x0, #32
        b       fxi_jump_save
        .cfi_endproc
        .size   fx_scope_save, . - fx_scope_save

        .globl  fx_scope_leave
        .type   fx_scope_leave, %function
fx_scope_leave:
        .cfi_startproc
        ldr     w1, [x0, #16]
        cbnz    w1, 1f                  /* not FX_SCOPE_OVER */
        ret
1:      add     x1, x0, #208
        stp     x19, x20, [x1, #0]
        stp     x21, x22, [x1, #16]
        stp     x23, x24, [x1, #32]
        stp     x25, x26, [x1, #48]
        stp     x27, x28, [x1, #64]
        stp     x29, x30, [x1, #80]
        mov     x2, sp
        str     x2, [x1, #96]
        stp     d8, d9, [x1, #104]
        stp     d10, d11, [x1, #120]
        stp     d12, d13, [x1, #136]
        stp     d14, d15, [x1, #152]
        b       fxi_scope_left
        .cfi_endproc
        .size   fx_scope_leave, . - fx_scope_leave

        .section .note.GNU-stack, "", %progbits
