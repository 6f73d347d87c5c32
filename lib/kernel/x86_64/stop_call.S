/* long fxi_stop_call_enter(long number, const long arguments[6], struct fxi_stop *stop,
 *                          int64_t deadline);
 *
 *          number  arguments             stop  deadline
 *   ours   rdi     rsi                   rdx   rcx
 *   kept   r12     rbp                   rbx   r13
 *   kernel rax     rdi rsi rdx r10 r8 r9
 *
 * stop: 0 asked, 4 calls. lib/stop/call.c asserts these offsets, and lib/kernel/stop_call.h tells what
 * the labels stand for. All in one frame: where the kernel fills the processor's memory of return
 * addresses, each return after a call costs 25 ns. */

#define MINUS_EINTR $-4

        .text
        .globl  fxi_stop_call_enter, fxi_stop_call_look, fxi_stop_call_made
        .globl  fxi_stop_call_looked, fxi_stop_call_refuse, fxi_stop_call_over
        .hidden fxi_stop_call_enter, fxi_stop_call_look, fxi_stop_call_made
        .hidden fxi_stop_call_looked, fxi_stop_call_refuse, fxi_stop_call_over
        .type   fxi_stop_call_enter, @function
fxi_stop_call_enter:
        .cfi_startproc
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        push    %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        push    %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        mov     %rdi, %r12
        mov     %rsi, %rbp
        mov     %rdx, %rbx
        mov     %rcx, %r13
1:      mov     %r12, %rax
        mov     0(%rbp), %rdi
        mov     8(%rbp), %rsi
        mov     16(%rbp), %rdx
        mov     24(%rbp), %r10
        mov     32(%rbp), %r8
        mov     40(%rbp), %r9
        movl    $1, 4(%rbx)
fxi_stop_call_look:
        cmpl    $0, 0(%rbx)
        jne     fxi_stop_call_refuse
        syscall
fxi_stop_call_made:
        movl    $0, 4(%rbx)
        cmp     MINUS_EINTR, %rax
        je      3f
        cmpl    $0, 0(%rbx)
fxi_stop_call_looked:
        jne     3f
2:      add     $8, %rsp
        .cfi_remember_state
        .cfi_adjust_cfa_offset -8
        pop     %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        pop     %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        pop     %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        ret
        .cfi_restore_state
3:      mov     %rax, %rdi
        mov     %r13, %rsi
        call    fxi_stop_call_tell
        cmp     MINUS_EINTR, %rax
        je      1b
        jmp     2b
fxi_stop_call_refuse:
        mov     MINUS_EINTR, %rax
        jmp     fxi_stop_call_made
fxi_stop_call_over:
        .cfi_endproc
        .size   fxi_stop_call_enter, . - fxi_stop_call_enter

        .section .note.GNU-stack, "", @progbits
