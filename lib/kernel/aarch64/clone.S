/* long fxi_clone(unsigned long flags, void *stack, uint32_t *parent_tid, uint32_t *child_tid,
 *                void *thread_pointer, void (*entry)(void *), void *arg);
 *
 *          flags  stack  parent_tid  child_tid  thread_pointer  entry  arg
 *   ours   x0     x1     x2          x3         x4              x5     x6
 *   kernel x0     x1     x2          x4         x3
 *
 * In the new thread every register but x0 is as it was here. Its frame is the outermost one: the
 * return address is declared undefined, where unwinders end, and x29 is 0. */

        .text
        .globl  fxi_clone
        .hidden fxi_clone
        .type   fxi_clone, %function
fxi_clone:
        .cfi_startproc
        and     x1, x1, #-16
        sub     x1, x1, #64             /* room above the first frame, for those who look there */
        mov     x7, x3
        mov     x3, x4
        mov     x4, x7
        mov     x8, #220                /* __NR_clone */
        svc     #0
        cbz     x0, 1f
        ret
        .cfi_endproc

        .cfi_startproc
        .cfi_undefined x30
        nop                             /* unwinders look up the byte before a return address */
1:      mov     x29, #0
        mov     x30, #0
        mov     x0, x6
        blr     x5
        mov     x0, #0
        mov     x8, #93                 /* __NR_exit: this thread alone */
        svc     #0
        brk     #1
        .cfi_endproc
        .size   fxi_clone, . - fxi_clone

        .section .note.GNU-stack, "", %progbits
