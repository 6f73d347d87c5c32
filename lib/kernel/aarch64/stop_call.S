/* long fxi_stop_call_enter(long number, const long arguments[6], struct fxi_stop *stop,
 *                          int64_t deadline);
 *
 *          number  arguments          stop  deadline
 *   ours   x0      x1                 x2    x3
 *   kept   x19     x20                x21   x22
 *   kernel x8      x0 x1 x2 x3 x4 x5
 *
 * stop: 0 asked, 4 calls. lib/stop/call.c asserts these offsets, and lib/kernel/stop_call.h tells what
 * the labels stand for. */

        .text
        .globl  fxi_stop_call_enter, fxi_stop_call_look, fxi_stop_call_made
        .globl  fxi_stop_call_looked, fxi_stop_call_refuse, fxi_stop_call_over
        .hidden fxi_stop_call_enter, fxi_stop_call_look, fxi_stop_call_made
        .hidden fxi_stop_call_looked, fxi_stop_call_refuse, fxi_stop_call_over
        .type   fxi_stop_call_enter, %function
fxi_stop_call_enter:
        .cfi_startproc
        stp     x29, x30, [sp, #-48]!
        .cfi_adjust_cfa_offset 48
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        stp     x19, x20, [sp, #16]
        .cfi_rel_offset x19, 16
        .cfi_rel_offset x20, 24
        stp     x21, x22, [sp, #32]
        .cfi_rel_offset x21, 32
        .cfi_rel_offset x22, 40
        mov     x29, sp
        mov     x19, x0
        mov     x20, x1
        mov     x21, x2
        mov     x22, x3
1:      mov     x8, x19
        ldp     x0, x1, [x20, #0]
        ldp     x2, x3, [x20, #16]
        ldp     x4, x5, [x20, #32]
        mov     w9, #1
        str     w9, [x21, #4]
        dmb     ish                     /* pairs with the fence in fxi_stop_call_settle */
fxi_stop_call_look:
        ldr     w9, [x21, #0]
        cbnz    w9, fxi_stop_call_refuse
        svc     #0
fxi_stop_call_made:
        str     wzr, [x21, #4]
        cmn     x0, #4                  /* -EINTR */
        b.eq    3f
        ldr     w9, [x21, #0]
fxi_stop_call_looked:
        cbnz    w9, 3f
2:      ldp     x21, x22, [sp, #32]
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #48
        .cfi_remember_state
        .cfi_adjust_cfa_offset -48
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_restore_state
3:      mov     x1, x22
        bl      fxi_stop_call_tell
        cmn     x0, #4
        b.eq    1b
        b       2b
fxi_stop_call_refuse:
        mov     x0, #-4
        b       fxi_stop_call_made
fxi_stop_call_over:
        .cfi_endproc
        .size   fxi_stop_call_enter, . - fxi_stop_call_enter

        .section .note.GNU-stack, "", %progbits
