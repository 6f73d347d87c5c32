/* int fxi_jump_save(struct fxi_jump *jump);                  x0
 * void fxi_jump_to(const struct fxi_jump *jump, int value);  x0, w1; does not return
 *
 * jump: x19 to x28, x29, x30 at 0 to 88, sp at 96, d8 to d15 at 104 to 167. */

        .text
        .globl  fxi_jump_save
        .hidden fxi_jump_save
        .type   fxi_jump_save, %function
fxi_jump_save:
        .cfi_startproc
        stp     x19, x20, [x0, #0]
        stp     x21, x22, [x0, #16]
        stp     x23, x24, [x0, #32]
        stp     x25, x26, [x0, #48]
        stp     x27, x28, [x0, #64]
        stp     x29, x30, [x0, #80]
        mov     x2, sp
        str     x2, [x0, #96]
        stp     d8, d9, [x0, #104]
        stp     d10, d11, [x0, #120]
        stp     d12, d13, [x0, #136]
        stp     d14, d15, [x0, #152]
        mov     w0, #0
        ret
        .cfi_endproc
        .size   fxi_jump_save, . - fxi_jump_save

        .globl  fxi_jump_to
        .hidden fxi_jump_to
        .type   fxi_jump_to, %function
fxi_jump_to:
        .cfi_startproc
        .cfi_undefined x30              /* from the first register that it restores on it has no caller */
        ldp     x19, x20, [x0, #0]
        ldp     x21, x22, [x0, #16]
        ldp     x23, x24, [x0, #32]
        ldp     x25, x26, [x0, #48]
        ldp     x27, x28, [x0, #64]
        ldp     x29, x30, [x0, #80]
        ldr     x2, [x0, #96]
        ldp     d8, d9, [x0, #104]
        ldp     d10, d11, [x0, #120]
        ldp     d12, d13, [x0, #136]
        ldp     d14, d15, [x0, #152]
        mov     sp, x2
        mov     w0, w1
        ret
        .cfi_endproc
        .size   fxi_jump_to, . - fxi_jump_to

        .section .note.GNU-stack, "", %progbits
