// The UART's transmitter-empty interrupt, by way of the PLIC, claimed and completed once.
#include "guest.h"

enum { kUartInput = 10 };
#define PRIORITY(input) (PLIC + 4 * (input))
#define ENABLE(context) (PLIC + 0x2000 + 0x80 * (context))
#define THRESHOLD(context) (PLIC + 0x200000 + 0x1000 * (context))
#define CLAIM(context) (THRESHOLD(context) + 4)

static volatile uint64_t interrupts, claimed, reason;

void on_interrupt(uint64_t number) {
    expect_equal(number, IRQ_MEXT);
    claimed = read32(CLAIM(0));
    reason = read8(UART + 2) & 0xf;  // reading IIR takes the reason away
    write8(UART + 1, 0);
    write32(CLAIM(0), (uint32_t)claimed);
    interrupts++;
}

int main(uint64_t hart) {
    (void)hart;
    // Below the threshold nothing arrives.
    write32(PRIORITY(kUartInput), 3);
    write32(THRESHOLD(0), 3);
    write32(ENABLE(0), 1 << kUartInput);
    csr_set(mie, 1UL << IRQ_MEXT);
    write8(UART + 1, 2);
    csr_set(mstatus, MSTATUS_MIE);
    for (int i = 0; i < 1000; i++) expect_equal(interrupts, 0);
    expect_equal(read32(PLIC + 0x1000) >> kUartInput & 1, 1);  // pending all the same

    write32(THRESHOLD(0), 2);
    while (!interrupts) {
    }
    expect_equal(claimed, kUartInput);
    expect_equal(reason, 2);
    for (int i = 0; i < 1000; i++) expect_equal(interrupts, 1);
    expect_equal(read32(CLAIM(0)), 0);
    return 0;
}
