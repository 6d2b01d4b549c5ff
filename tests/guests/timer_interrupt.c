// The CLINT's timer: not before its time, and gone when mtimecmp moves on.
#include "guest.h"

static volatile uint64_t interrupts, arrived;

void on_interrupt(uint64_t number) {
    expect_equal(number, IRQ_MTIMER);
    arrived = read64(MTIME);
    interrupts++;
    write64(MTIMECMP(0), ~0UL);
}

int main(uint64_t hart) {
    (void)hart;
    write64(MTIMECMP(0), ~0UL);
    csr_set(mie, 1UL << IRQ_MTIMER);
    csr_set(mstatus, MSTATUS_MIE);
    for (int round = 1; round <= 20; round++) {
        uint64_t deadline = read64(MTIME) + 20000;  // 2 ms
        write64(MTIMECMP(0), deadline);
        while (interrupts < (uint64_t)round) {
        }
        expect_equal(interrupts, round);
        expect(arrived >= deadline);
    }
    // A deadline that has passed is due at once.
    write64(MTIMECMP(0), 0);
    while (interrupts < 21) {
    }
    // mip follows mtimecmp, and the CSR `time` is the same clock.
    csr_clear(mstatus, MSTATUS_MIE);
    write64(MTIMECMP(0), 0);
    while (!(csr_read(mip) >> IRQ_MTIMER & 1)) {
    }
    write64(MTIMECMP(0), ~0UL);
    while (csr_read(mip) >> IRQ_MTIMER & 1) {
    }
    uint64_t first = read64(MTIME), second = csr_read(time), third = read64(MTIME);
    expect(first <= second && second <= third);
    return 0;
}
