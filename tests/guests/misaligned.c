// Misaligned loads and stores are done in hardware, also across pages; misaligned atomics are not.
#include "guest.h"

static uint8_t area[3 * 4096] __attribute__((aligned(4096)));

static void around(uint8_t* at) {
    for (int i = -16; i < 24; i++) at[i] = 0xee;
    for (int offset = -9; offset <= 9; offset++) {
        uint64_t a = (uint64_t)at + (uint64_t)(int64_t)offset;
        write64(a, 0x8877665544332211);
        for (uint64_t i = 0; i < 8; i++) expect_equal(read8(a + i), 0x11 * (i + 1));
        expect_equal(read64(a), 0x8877665544332211);
        expect_equal(read32(a + 1), 0x55443322);
        int64_t word;
        __asm__ volatile("lw %0, 4(%1)" : "=r"(word) : "r"(a) : "memory");
        expect_equal(word, (int32_t)0x88776655);
        expect_equal(read16(a + 3), 0x5544);
        write32(a + 1, 0xddccbbaa);
        expect_equal(read64(a), 0x887766ddccbbaa11);
        write16(a + 5, 0x1234);
        expect_equal(read64(a), 0x881234ddccbbaa11);
        double d;
        __asm__ volatile("fld %0, (%1)" : "=f"(d) : "r"(a) : "memory");
        __asm__ volatile("fsd %1, (%0)" ::"r"(a + 2), "f"(d) : "memory");
        expect_equal(read64(a + 2), 0x881234ddccbbaa11);
    }
}

int main(uint64_t hart) {
    (void)hart;
    expect_no_trap(around(area + 64));
    expect_no_trap(around(area + 4096));
    expect_no_trap(around(area + 8192));

    uint64_t value, failed, a = (uint64_t)area + 4;
    expect_trap(CAUSE_LOAD_MISALIGNED, a, __asm__ volatile("lr.d %0, (%1)" : "=r"(value) : "r"(a)));
    expect_trap(CAUSE_STORE_MISALIGNED, a, __asm__ volatile("sc.d %0, x0, (%1)" : "=r"(failed) : "r"(a) : "memory"));
    expect_trap(CAUSE_STORE_MISALIGNED, a + 1,
                __asm__ volatile("amoadd.w %0, x0, (%1)"
                                 : "=r"(value)
                                 : "r"(a + 1)
                                 : "memory"));
    return 0;
}
