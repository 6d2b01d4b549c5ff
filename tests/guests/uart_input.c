// Echoes what arrives, by interrupt, until a full stop.
#include "guest.h"

#define CLAIM (PLIC + 0x200004)

static volatile int done;

void on_interrupt(uint64_t number) {
    expect_equal(number, IRQ_MEXT);
    uint32_t input = read32(CLAIM);
    expect_equal(input, 10);
    while (read8(UART + 5) & 1) {
        char c = (char)read8(UART);
        put_char(c);
        if (c == '.') done = 1;
    }
    write32(CLAIM, input);
}

int main(uint64_t hart) {
    (void)hart;
    write32(PLIC + 4 * 10, 1);
    write32(PLIC + 0x2000, 1 << 10);
    write32(PLIC + 0x200000, 0);
    csr_set(mie, 1UL << IRQ_MEXT);
    write8(UART + 1, 1);
    while (!done) {
        wfi();
        csr_set(mstatus, MSTATUS_MIE);
        csr_clear(mstatus, MSTATUS_MIE);
    }
    return 0;
}
