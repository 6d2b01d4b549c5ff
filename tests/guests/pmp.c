// PMP: NA4, NAPOT and TOR ranges for S-mode, the lowest entry decides, locked entries bind M-mode too.
#include "guest.h"

enum { R = 1, W = 2, X = 4, TOR = 1 << 3, NA4 = 2 << 3, NAPOT = 3 << 3, LOCKED = 1 << 7 };
static uint8_t area[8192] __attribute__((aligned(4096)));
#define AREA ((uint64_t)area)

static uint64_t load_at(uint64_t a) {
    return read32(a);
}
static uint64_t store_at(uint64_t a) {
    return write32(a, 5), 0;
}
static uint64_t fetch_at(uint64_t a) {
    return ((uint64_t(*)(uint64_t))a)(0);
}

#define in_s(function, address) run_in_mode(MODE_S, function, address)

static void may(int read, int write, int execute, uint64_t a) {
    if (read) {
        expect_no_trap(in_s(load_at, a));
    } else {
        expect_trap(CAUSE_LOAD_ACCESS, a, in_s(load_at, a));
    }
    if (write) {
        expect_no_trap(in_s(store_at, a));
    } else {
        expect_trap(CAUSE_STORE_ACCESS, a, in_s(store_at, a));
    }
    write32(a, 0x8082);  // c.jr ra
    fence_i();
    if (execute) {
        expect_no_trap(in_s(fetch_at, a));
    } else {
        expect_trap(CAUSE_FETCH_ACCESS, a, in_s(fetch_at, a));
    }
}

static void configure(uint64_t entries) {
    csr_write(pmpcfg0, entries);
    sfence_vma();
}

int main(uint64_t hart) {
    (void)hart;
    may(1, 1, 1, AREA);  // entry 15 of start.S opens everything

    csr_write(pmpaddr0, AREA >> 2 | 0x1ff);  // 4 KiB
    configure(NAPOT | R);
    may(1, 0, 0, AREA + 16);
    may(1, 1, 1, AREA + 4096);
    configure(NAPOT | R | W);
    may(1, 1, 0, AREA + 16);
    configure(NAPOT | X);
    may(0, 0, 1, AREA + 16);
    configure(NAPOT);
    may(0, 0, 0, AREA + 4092);
    write32(AREA, 7);  // M-mode is not bound
    expect_equal(read32(AREA), 7);

    csr_write(pmpaddr0, AREA >> 2);
    csr_write(pmpaddr1, (AREA + 64) >> 2);
    configure((uint64_t)(TOR | R) << 8);  // [AREA, AREA + 64)
    may(1, 0, 0, AREA);
    may(1, 0, 0, AREA + 60);
    may(1, 1, 1, AREA + 64);

    csr_write(pmpaddr0, (AREA + 8) >> 2);
    csr_write(pmpaddr1, AREA >> 2 | 0x1ff);
    configure((uint64_t)NAPOT << 8 | NA4 | R | W | X);  // four bytes open in a closed page
    may(1, 1, 1, AREA + 8);
    may(0, 0, 0, AREA + 4);
    may(0, 0, 0, AREA + 12);
    // An access partly inside the first entry that matches fails, whatever the others say.
    configure((uint64_t)(NAPOT | R | W | X) << 8 | NA4 | R | W | X);
    expect_trap(CAUSE_LOAD_ACCESS, AREA + 8, run_in_mode(MODE_S, (uint64_t(*)(uint64_t))read64, AREA + 8));

    // MPRV: M-mode's data accesses under S-mode's rights.
    configure((uint64_t)NAPOT << 8);
    csr_clear(mstatus, 3UL << 11);
    csr_set(mstatus, 1UL << 11 | MSTATUS_MPRV);
    uint64_t before = traps[0].count;
    load_at(AREA);
    csr_clear(mstatus, MSTATUS_MPRV);
    expect_equal(traps[0].count, before + 1);
    expect_equal(traps[0].cause, CAUSE_LOAD_ACCESS);

    configure((uint64_t)(LOCKED | NAPOT | R) << 8);
    expect_trap(CAUSE_STORE_ACCESS, AREA, store_at(AREA));
    expect_no_trap(load_at(AREA));
    expect_trap(CAUSE_FETCH_ACCESS, AREA, fetch_at(AREA));
    configure(0);
    expect_equal(csr_read(pmpcfg0), (LOCKED | NAPOT | R) << 8);  // locked until reset
    expect_trap(CAUSE_STORE_ACCESS, AREA, store_at(AREA));
    return 0;
}
