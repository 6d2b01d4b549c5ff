// minstret counts every instruction once, whatever interrupts when: a loop of known length runs under a timer that
// interrupts it at random times, with a handler of known length.
#include "guest.h"

enum { kTurns = 2000000 };

// t4, t5, interrupts, random state, MTIME, MTIMECMP, memory for the loop
uint64_t area[8];
extern uint32_t on_timer[], on_timer_end[], body[], body_end[], callee[], callee_end[];
uint64_t run_loop(uint64_t turns, uint64_t* memory);

__asm__(
    ".option push\n.option norvc\n"
    ".balign 4\n.globl on_timer, on_timer_end\non_timer:\n"
    "csrrw t6, mscratch, t6\n sd t4, 0(t6)\n sd t5, 8(t6)\n"
    "ld t5, 16(t6)\n addi t5, t5, 1\n sd t5, 16(t6)\n"
    "ld t5, 24(t6)\n li t4, 0x41c64e6d\n mul t5, t5, t4\n addi t5, t5, 1039\n sd t5, 24(t6)\n"
    "srli t5, t5, 20\n andi t5, t5, 1023\n addi t5, t5, 50\n"
    "ld t4, 32(t6)\n ld t4, 0(t4)\n add t5, t5, t4\n ld t4, 40(t6)\n sd t5, 0(t4)\n"
    "ld t4, 0(t6)\n ld t5, 8(t6)\n csrrw t6, mscratch, t6\n mret\non_timer_end:\n"

    ".globl run_loop, body, body_end, callee, callee_end\nrun_loop:\n"
    "mv t3, ra\n"
    "csrr t0, minstret\n"
    "body:\n"
    "ld t1, 0(a1)\n add t1, t1, a0\n sd t1, 0(a1)\n xori t2, t1, 5\n"
    "jal callee\n"
    "addi a0, a0, -1\n bnez a0, body\nbody_end:\n"
    "csrr t1, minstret\n sub a0, t1, t0\n jr t3\n"
    "callee:\n mul t2, t2, t1\n sltu t1, t2, t1\n amoadd.d zero, t1, (a1)\n ret\ncallee_end:\n"
    ".option pop\n");

int main(uint64_t hart) {
    (void)hart;
    area[3] = 1, area[4] = MTIME, area[5] = MTIMECMP(0);
    csr_write(mscratch, area);
    csr_write(mtvec, on_timer);
    write64(MTIMECMP(0), read64(MTIME) + 100);
    csr_set(mie, 1UL << IRQ_MTIMER);
    csr_set(mstatus, MSTATUS_MIE);
    uint64_t counted = run_loop(kTurns, &area[6]);
    csr_clear(mstatus, MSTATUS_MIE);
    // Of the two reads one is counted. An interrupt before the first and one after the second are none of the loop's.
    uint64_t handler = (uint64_t)(on_timer_end - on_timer);
    uint64_t turn = (uint64_t)(body_end - body) + (uint64_t)(callee_end - callee);
    uint64_t interrupts = (counted - 1 - kTurns * turn) / handler;
    expect_equal(counted, 1 + kTurns * turn + interrupts * handler);
    expect(interrupts <= area[2] && area[2] <= interrupts + 2);
    expect(area[2] > 10);
    return 0;
}
