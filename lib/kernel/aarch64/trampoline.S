/* Where a signal handler's return leads to that has found the interrupted place free: the stack pointer
 * is aligned. Of the interrupted code nothing is kept. (Return addresses are not replaced on this
 * processor: lib/stop/trampoline.h.) */

        .text
        .globl  fxi_stop_land
        .hidden fxi_stop_land
        .type   fxi_stop_land, %function
fxi_stop_land:
        .cfi_startproc
        .cfi_undefined x30
        nop
        mov     x29, xzr
        bl      fxi_stop_raise
        brk     #1
        .cfi_endproc
        .size   fxi_stop_land, . - fxi_stop_land

        .section .note.GNU-stack, "", %progbits
