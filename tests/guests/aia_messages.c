// Messages from hart to hart go round four harts, each woken from wfi by its neighbour, a hundred times; and what the
// interrupt file's registers and priorities are.
#include "guest.h"

enum { kHarts = 4, kRounds = 100, kCall = 3 };
static volatile uint64_t received[kHarts];

static void send(uint64_t hart, uint32_t identity) {
    write32(IMSIC + 0x1000 * hart, identity);
}

void on_interrupt(uint64_t number) {
    uint64_t hart = csr_read(mhartid);
    expect_equal(number, IRQ_MEXT);
    expect_equal(claim_message(), kCall);
    received[hart]++;
    fence();
    if (hart != 0) send((hart + 1) % kHarts, kCall);
}

static void listen(void) {
    write_file(EIDELIVERY, 1);
    write_file(EIE(kCall), 1UL << kCall);
    csr_set(mie, 1UL << IRQ_MEXT);
    csr_set(mstatus, MSTATUS_MIE);
}

void secondary(uint64_t hart) {
    if (hart >= kHarts) return;
    listen();
    for (;;) wfi();
}

static void check_registers(void) {
    for (uint32_t identity = 0; identity < 300; identity++) send(0, identity);
    write_file(EIE(0), ~0UL);
    expect_equal(read_file(EIE(0)), ~1UL);  // there is no identity 0
    write_file(EIE(192), ~0UL);
    for (uint64_t identity = 1; identity < 64; identity++) expect_equal(claim_message(), identity);
    write_file(EITHRESHOLD, 193);
    expect_equal(csr_read(MTOPEI), 192UL << 16 | 192);
    write_file(EITHRESHOLD, 192);
    expect_equal(csr_read(MTOPEI), 0);
    write_file(EITHRESHOLD, 0);
    for (uint64_t identity = 192; identity < 256; identity++) expect_equal(claim_message(), identity);
    expect_equal(claim_message(), 0);
    expect_equal(read_file(EIP(64)), ~0UL);  // never enabled, still pending
    csr_write(MISELECT, EIP(64));
    csr_clear(MIREG, ~0UL << 8);
    expect_equal(read_file(EIP(64)), 0xff);
    csr_write(MISELECT, EIP(64) + 1);  // RV64 has none
    expect_trap(CAUSE_ILLEGAL, traps[0].tval, csr_read(MIREG));
    write_file(EIE(0), 0);
}

int main(uint64_t hart) {
    (void)hart;
    check_registers();
    listen();
    for (uint64_t round = 1; round <= kRounds; round++) {
        send(1, kCall);
        while (received[0] < round) {
        }
    }
    for (int i = 0; i < kHarts; i++) expect_equal(received[i], kRounds);
    return 0;
}
