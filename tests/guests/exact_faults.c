// A loop whose loads, stores and atomics fault now and then, in the middle of hot code: at each page fault a handler
// folds every register, the cause, the address and the place into one number, which main prints. It is the same on
// every engine.
#include "guest.h"

enum { V = 1, R = 2, W = 4, U = 16, A = 64, D = 128, kEntries = 512, kPages = 8, kRounds = 30000 };
static uint64_t root[kEntries] __attribute__((aligned(4096)));
static uint64_t middle[kEntries] __attribute__((aligned(4096)));
static uint64_t leaves[kEntries] __attribute__((aligned(4096)));
static uint64_t data[kPages * 512] __attribute__((aligned(4096)));
static const uint64_t kWindow = 0x40000000;  // virtual

// x1 to x31, the folded number, the number of faults.
uint64_t saved[34];
void run_faults(uint64_t base, uint64_t rounds);
void on_fault(void);

__asm__(
    ".option push\n.option norvc\n"
    // Registers 1 to 4 are the compiler's and left out.
    ".balign 4\n.globl on_fault\non_fault:\n"
    "csrrw t6, mscratch, t6\n"
    ".irp r, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30\n"
    "sd x\\r, \\r*8(t6)\n.endr\n"
    "ld t0, 32*8(t6)\n li t1, 31\n"
    ".irp r, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30\n"
    "ld t2, \\r*8(t6)\n mul t0, t0, t1\n add t0, t0, t2\n.endr\n"
    ".irp c, mcause, mtval, mscratch\n csrr t2, \\c\n mul t0, t0, t1\n add t0, t0, t2\n.endr\n"
    "csrr t2, mepc\n la t3, run_faults\n sub t3, t2, t3\n mul t0, t0, t1\n add t0, t0, t3\n"
    "addi t2, t2, 4\n csrw mepc, t2\n"
    "sd t0, 32*8(t6)\n ld t0, 33*8(t6)\n addi t0, t0, 1\n sd t0, 33*8(t6)\n"
    ".irp r, 5, 6, 7, 28\n ld x\\r, \\r*8(t6)\n.endr\n"
    "csrrw t6, mscratch, t6\n mret\n"

    ".globl run_faults\nrun_faults:\n"
    "addi sp, sp, -128\n"
    ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n sd s\\r, \\r*8(sp)\n.endr\n"
    "mv s4, a0\n mv s5, a1\n"
    ".irp r, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n li x\\r, "
    "0x5a5\\r\n.endr\n"
    "li s0, 0\n li s1, 0\n li s2, 0x9e3779b97f4a7c15\n li s3, 0x7ff8\n"
    // From here on mstatus.MPRV: data by the page table.
    "li t0, 1 << 17\n csrs mstatus, t0\n"
    "1: addi s0, s0, 1\n mul s1, s0, s2\n srli t0, s1, 7\n and t0, t0, s3\n add a0, s4, t0\n add a1, a1, t0\n"
    "ld a2, 0(a0)\n xor a3, a3, a2\n addi a4, a3, 5\n sd a4, 8(a0)\n add a5, a5, a4\n lw a6, 4(a0)\n"
    "sub a7, a5, a6\n lbu t1, 3(a0)\n sh a7, 16(a0)\n slt t2, a7, a5\n add s6, s6, t2\n"
    "amoadd.d t3, a7, (a0)\n xor s7, s7, t3\n lr.w t4, (a0)\n addw t4, t4, s0\n sc.w t5, t4, (a0)\n add s8, s8, t5\n"
    "ld t1, -8(a0)\n sllw s9, t1, s0\n sraw s10, s9, t0\n srl s11, t1, s0\n"
    "bne s0, s5, 1b\n"
    "li t0, 1 << 17\n csrc mstatus, t0\n"
    ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n ld s\\r, \\r*8(sp)\n.endr\n"
    "addi sp, sp, 128\n ret\n"
    ".option pop\n");

int main(uint64_t hart) {
    (void)hart;
    // The page table has no second entry for the stack: run_faults touches only the window while it is in use.
    root[kWindow >> 30] = (uint64_t)middle >> 12 << 10 | V;
    middle[0] = (uint64_t)leaves >> 12 << 10 | V;
    for (uint64_t i = 0; i < kPages; i++) {
        uint64_t flags = i % 3 == 2 ? 0 : i % 3 == 1 ? (R | A) : (R | W | A | D);
        if (flags) leaves[i] = (((uint64_t)data >> 12) + i) << 10 | flags | V | U;
    }
    csr_write(satp, 8UL << 60 | (uint64_t)root >> 12);
    sfence_vma();
    csr_clear(mstatus, 3UL << 11);  // MPP: user mode
    csr_write(mscratch, saved);
    csr_write(mtvec, on_fault);
    run_faults(kWindow, kRounds);
    put_hex(saved[33]);
    put(" ");
    put_hex(saved[32]);
    put("\n");
    return 0;
}
