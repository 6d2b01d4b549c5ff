// Software interrupts go round four harts, each woken from wfi by its neighbour, a hundred times.
#include "guest.h"

enum { kHarts = 4, kRounds = 100 };
static volatile uint64_t received[kHarts];

void on_interrupt(uint64_t number) {
    uint64_t hart = csr_read(mhartid);
    expect_equal(number, IRQ_MSOFT);
    expect_equal(read32(MSIP(hart)), 1);
    write32(MSIP(hart), 0);
    received[hart]++;
    fence();
    if (hart != 0) write32(MSIP((hart + 1) % kHarts), 1);
}

void secondary(uint64_t hart) {
    if (hart >= kHarts) return;
    csr_set(mie, 1UL << IRQ_MSOFT);
    csr_set(mstatus, MSTATUS_MIE);
    for (;;) wfi();
}

int main(uint64_t hart) {
    (void)hart;
    csr_set(mie, 1UL << IRQ_MSOFT);
    csr_set(mstatus, MSTATUS_MIE);
    for (uint64_t round = 1; round <= kRounds; round++) {
        write32(MSIP(1), 1);
        while (received[0] < round) {
        }
    }
    for (int i = 0; i < kHarts; i++) expect_equal(received[i], kRounds);
    return 0;
}
