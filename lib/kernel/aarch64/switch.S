/* void fxi_switch(void **saved, void *to);                                     x0, x1
 * void *fxi_switch_prepare(void *top, void (*entry)(void *), void *arg);       x0, x1, x2
 *
 * What stands at a saved stack pointer: x19 to x30 at 0 to 95, d8 to d15 at 96 to 159, fpcr at 160;
 * 176 bytes in all. */

        .text
        .globl  fxi_switch
        .hidden fxi_switch
        .type   fxi_switch, %function
fxi_switch:
        .cfi_startproc
        sub     sp, sp, #176
        .cfi_adjust_cfa_offset 176
        stp     x19, x20, [sp, #0]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        .cfi_rel_offset x19, 0
        .cfi_rel_offset x20, 8
        .cfi_rel_offset x21, 16
        .cfi_rel_offset x22, 24
        .cfi_rel_offset x23, 32
        .cfi_rel_offset x24, 40
        .cfi_rel_offset x25, 48
        .cfi_rel_offset x26, 56
        .cfi_rel_offset x27, 64
        .cfi_rel_offset x28, 72
        .cfi_rel_offset x29, 80
        .cfi_rel_offset x30, 88
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mrs     x2, fpcr
        str     x2, [sp, #160]
        mov     x3, sp
        str     x3, [x0]
        mov     sp, x1
        ldr     x2, [sp, #160]
        msr     fpcr, x2
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        ldp     x19, x20, [sp, #0]
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     x29, x30, [sp, #80]
        add     sp, sp, #176
        .cfi_def_cfa_offset 0
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x23
        .cfi_restore x24
        .cfi_restore x25
        .cfi_restore x26
        .cfi_restore x27
        .cfi_restore x28
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_endproc
        .size   fxi_switch, . - fxi_switch

        .globl  fxi_switch_prepare
        .hidden fxi_switch_prepare
        .type   fxi_switch_prepare, %function
fxi_switch_prepare:
        .cfi_startproc
        and     x0, x0, #-16
        sub     x0, x0, #240            /* 176, and room above the first frame */
        stp     x1, x2, [x0, #0]        /* x19: entry, x20: arg */
        stp     xzr, xzr, [x0, #16]
        stp     xzr, xzr, [x0, #32]
        stp     xzr, xzr, [x0, #48]
        stp     xzr, xzr, [x0, #64]
        adr     x3, 1f
        stp     xzr, x3, [x0, #80]      /* x29: 0, where frame walkers end */
        stp     xzr, xzr, [x0, #96]
        stp     xzr, xzr, [x0, #112]
        stp     xzr, xzr, [x0, #128]
        stp     xzr, xzr, [x0, #144]
        mrs     x3, fpcr
        str     x3, [x0, #160]
        ret
        .cfi_endproc

        .cfi_startproc
        .cfi_undefined x30
        nop                             /* unwinders look up the byte before a return address */
1:      mov     x0, x20
        blr     x19
        brk     #1
        .cfi_endproc
        .size   fxi_switch_prepare, . - fxi_switch_prepare

        .section .note.GNU-stack, "", %progbits
