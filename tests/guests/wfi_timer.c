// wfi waits for a timer, wakes with interrupts globally off, and does not wait when one is pending already.
#include "guest.h"

int main(uint64_t hart) {
    (void)hart;
    csr_set(mie, 1UL << IRQ_MTIMER);
    for (int round = 0; round < 10; round++) {
        uint64_t deadline = read64(MTIME) + 50000;  // 5 ms
        write64(MTIMECMP(0), deadline);
        uint64_t instructions = csr_read(minstret);
        while (!(csr_read(mip) >> IRQ_MTIMER & 1)) wfi();
        expect(read64(MTIME) >= deadline);
        // Waiting is not spinning.
        expect(csr_read(minstret) - instructions < 1000);
        wfi();  // pending: at once
        write64(MTIMECMP(0), ~0UL);
        while (csr_read(mip) >> IRQ_MTIMER & 1) {
        }
    }
    expect_equal(traps[0].count, 0);
    return 0;
}
