# Where every hart starts, in M-mode: a stack, a trap stack (in mscratch), and C: hart 0 runs main, the others secondary.
#define HARTS 16
#define STACK 8192

    .section .text.start, "ax"
    .globl _start
_start:
    csrr t0, mhartid
    la t1, trap_entry
    csrw mtvec, t1
    li t1, STACK
    addi t2, t0, 1
    mul t1, t1, t2
    la sp, stacks
    add sp, sp, t1
    li t2, HARTS * STACK
    add t2, t2, sp
    csrw mscratch, t2
    li t1, 3 << 13          # mstatus.FS: floating point on
    csrs mstatus, t1
    # A counter the programs may read in every mode, and all of memory for S and U mode until a test narrows it.
    li t1, -1
    csrw mcounteren, t1
    csrw pmpaddr15, t1
    li t1, 0x1f
    slli t1, t1, 56
    csrw pmpcfg2, t1
    mv a0, t0
    bnez t0, 1f
    call main
    j exit
1:  call secondary
2:  wfi
    j 2b

# struct frame of guest.h: x0 (unused) to x31, then pc, cause, tval.
    .globl trap_entry
    .balign 4
trap_entry:
    csrrw sp, mscratch, sp
    addi sp, sp, -288
    .irp r, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    sd x\r, \r*8(sp)
    .endr
    csrr t0, mscratch
    sd t0, 2*8(sp)
    addi t0, sp, 288
    csrw mscratch, t0
    csrr t0, mepc
    sd t0, 32*8(sp)
    csrr t0, mcause
    sd t0, 33*8(sp)
    csrr t0, mtval
    sd t0, 34*8(sp)
    mv a0, sp
    call trap
    ld t0, 32*8(sp)
    csrw mepc, t0
    .irp r, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld x\r, \r*8(sp)
    .endr
    ld sp, 2*8(sp)
    mret

# uint64_t run_in_mode(uint64_t mode, uint64_t (*function)(uint64_t), uint64_t argument): calls `function` in S (1) or
# U (0) mode. It comes back by an ecall that trap() answers by returning to leave_mode in M-mode.
    .globl run_in_mode
run_in_mode:
    addi sp, sp, -112
    sd ra, 0(sp)
    .irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    sd s\r, 8+\r*8(sp)
    .endr
    csrr t0, mhartid
    la t1, mode_stack
    slli t0, t0, 3
    add t1, t1, t0
    sd sp, (t1)
    li t0, 3 << 11
    csrc mstatus, t0
    slli t0, a0, 11
    csrs mstatus, t0
    csrw mepc, a1
    mv a0, a2
    la ra, 1f
    mret
1:  li a7, 0x5e7            # kLeaveMode
    ecall
    .globl leave_mode
leave_mode:
    csrr t0, mhartid
    la t1, mode_stack
    slli t0, t0, 3
    add t1, t1, t0
    ld sp, (t1)
    ld ra, 0(sp)
    .irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    ld s\r, 8+\r*8(sp)
    .endr
    addi sp, sp, 112
    ret

    .section .tohost, "aw"
    .globl tohost, fromhost
    .balign 64
tohost: .dword 0
    .balign 64
fromhost: .dword 0

    .bss
    .balign 16
stacks: .space 2 * HARTS * STACK
mode_stack: .space 8 * HARTS
