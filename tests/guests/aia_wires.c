// The UART's transmitter-empty interrupt through the APLIC: directly, and as a message to the hart's interrupt file.
#include "guest.h"

enum { kUartSource = 10, kIdentity = 70, kLevelHigh = 6, kOn = 1 << 8, kMessages = 1 << 2 };
#define DOMAINCFG APLIC
#define SOURCECFG(source) (APLIC + 4 * (source))
#define MMSIADDRCFG (APLIC + 0x1bc0)
#define MMSIADDRCFGH (APLIC + 0x1bc4)
#define SETIPNUM (APLIC + 0x1cdc)
#define SETIENUM (APLIC + 0x1edc)
#define TARGET(source) (APLIC + 0x3000 + 4 * (source))
#define IDELIVERY(hart) (APLIC + 0x4000 + 32 * (hart))
#define CLAIMI(hart) (APLIC + 0x401c + 32 * (hart))

static volatile uint64_t interrupts, claimed, reason;
static int by_message;

void on_interrupt(uint64_t number) {
    expect_equal(number, IRQ_MEXT);
    expect_equal(csr_read(MTOPI) >> 16, IRQ_MEXT);
    claimed = by_message ? claim_message() : read32(CLAIMI(0)) >> 16;
    reason = read8(UART + 2) & 0xf;  // reading IIR takes the reason away
    interrupts++;
}

static void expect_interrupt(uint64_t identity) {
    uint64_t before = interrupts;
    write8(UART + 1, 2);
    while (interrupts == before) {
    }
    write8(UART + 1, 0);
    for (int i = 0; i < 1000; i++) expect_equal(interrupts, before + 1);
    expect_equal(claimed, identity);
    expect_equal(reason, 2);
}

int main(uint64_t hart) {
    (void)hart;
    write32(SOURCECFG(kUartSource), kLevelHigh);
    write32(SETIENUM, kUartSource);
    csr_set(mie, 1UL << IRQ_MEXT);
    csr_set(mstatus, MSTATUS_MIE);

    expect_equal(read_file(EIDELIVERY), 0x40000000);  // the APLIC has the hart's ear
    write32(TARGET(kUartSource), 1);
    write32(IDELIVERY(0), 1);
    write32(DOMAINCFG, kOn);
    expect_interrupt(kUartSource);
    expect_equal(read32(CLAIMI(0)), 0);

    by_message = 1;
    write32(MMSIADDRCFG, IMSIC >> 12);
    write32(MMSIADDRCFGH, 0);
    write32(DOMAINCFG, kOn | kMessages);
    write32(TARGET(kUartSource), kIdentity);
    write_file(EIDELIVERY, 1);
    write_file(EIE(kIdentity), 1UL << kIdentity % 64);
    expect_interrupt(kIdentity);
    // Sent again while the wire is high, and no more when it is low.
    csr_clear(mstatus, MSTATUS_MIE);
    write32(SETIPNUM, kUartSource);
    expect_equal(csr_read(MTOPEI), 0);
    write8(UART + 1, 2);
    expect_equal(claim_message(), kIdentity);
    expect_equal(csr_read(MTOPEI), 0);
    write32(SETIPNUM, kUartSource);
    expect_equal(csr_read(MTOPEI) >> 16, kIdentity);
    return 0;
}
