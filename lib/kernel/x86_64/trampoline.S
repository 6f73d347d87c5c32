/* Where a function returns to whose return address was replaced: see lib/stop/trampoline.h.
 *
 * Entry n pushes the address that the function would have returned to, which is the place where the
 * replaced one stood, and goes on to `landed`, which asks what to do: to return there, with all results
 * of the function as they are, or to raise what was asked of the thread.
 *
 * To unwinders an entry that has not begun is a frame whose caller is the true one: its return address
 * is found in the table, by way of the distance that stands 16 bytes behind the entry (register 16 is
 * the frame's own address), its CFA is 8 above the stack pointer, so that it is not taken for the caller
 * itself, and the caller's stack pointer is its own. The byte before the entry is there because
 * unwinders look up the byte before a return address. */

/* lib/stop/trampoline.h has the same three. */
#define ENTRIES 256
#define RECORD_BYTES 32
#define ENTRY_BYTES 32

/* Vector registers hold results, too: as much of them as this library's code can change. The x87 stack
 * is not touched. */
#if defined __AVX512F__
#define STORE(n, to) vmovups %zmm##n, to
#define LOAD(from, n) vmovups from, %zmm##n
#elif defined __AVX__
#define STORE(n, to) vmovups %ymm##n, to
#define LOAD(from, n) vmovups from, %ymm##n
#else
#define STORE(n, to) movups %xmm##n, to
#define LOAD(from, n) movups from, %xmm##n
#endif

        .text
        .globl  fxi_trampoline_entries
        .hidden fxi_trampoline_entries
        .balign 32
fxi_trampoline_entries:
        .set    n, 0
        .rept   ENTRIES
        .cfi_startproc
        .cfi_escape 0x16, 7, 2, 0x77, 0                         /* rsp: its own value */
        .cfi_escape 0x10, 16, 6, 0x80, 0, 0x80, 16, 0x06, 0x22  /* rip is saved at: rip + *(rip + 16) */
        nop
0:      pushq   fxi_trampoline_records + n * RECORD_BYTES(%rip)
        .cfi_restore 7
        .cfi_restore 16
        jmp     landed
        .skip   16 - (. - 0b), 0xcc
        .quad   fxi_trampoline_records + n * RECORD_BYTES - 0b
        .balign 32, 0xcc
        .cfi_endproc
        .set    n, n + 1
        .endr

        .type   landed, @function
landed:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register rbp
        sub     $160, %rsp
        and     $-64, %rsp
        mov     %rax, 128(%rsp)
        mov     %rdx, 136(%rsp)
        STORE(0, 0(%rsp))
        STORE(1, 64(%rsp))
        lea     8(%rbp), %rdi
        call    fxi_trampoline_landed
        test    %eax, %eax
        jnz     1f
        LOAD(64(%rsp), 1)
        LOAD(0(%rsp), 0)
        mov     136(%rsp), %rdx
        mov     128(%rsp), %rax
        leave
        .cfi_remember_state
        .cfi_def_cfa rsp, 8
        ret
        .cfi_restore_state
1:      emms                            /* a result on the x87 stack is not fetched any more */
        call    fxi_stop_raise
        ud2
        .cfi_endproc
        .size   landed, . - landed

/* Where a signal handler's return leads to that has found the interrupted place free: the stack pointer
 * is below all that the program had there. Of the interrupted code nothing is kept, an x87 stack or a
 * direction flag neither. */
        .globl  fxi_stop_land
        .hidden fxi_stop_land
        .type   fxi_stop_land, @function
fxi_stop_land:
        .cfi_startproc
        .cfi_undefined rip
        nop
        cld
        emms
        call    fxi_stop_raise
        ud2
        .cfi_endproc
        .size   fxi_stop_land, . - fxi_stop_land

        .section .note.GNU-stack, "", @progbits
