// Access outside RAM and devices: the right cause, and in mtval the exact address.
#include "guest.h"

static uint64_t ram_end = RAM + (64UL << 20);  // the test starts with --memory 64M

static void fetch_at(uint64_t address) {
    ((void (*)(void))address)();
}

static void access_at(uint64_t a) {
    expect_trap(CAUSE_LOAD_ACCESS, a, read8(a));
    expect_trap(CAUSE_LOAD_ACCESS, a, read64(a & ~7UL));
    expect_trap(CAUSE_STORE_ACCESS, a, write8(a, 1));
    expect_trap(CAUSE_STORE_ACCESS, a & ~3UL, write32(a & ~3UL, 1));
    expect_trap(CAUSE_STORE_ACCESS, a & ~7UL, __atomic_fetch_add((uint64_t*)(a & ~7UL), 1, __ATOMIC_RELAXED));
    uint64_t value;
    expect_trap(CAUSE_LOAD_ACCESS, a & ~7UL, __asm__ volatile("lr.d %0, (%1)" : "=r"(value) : "r"(a & ~7UL)));
    expect_trap(CAUSE_FETCH_ACCESS, a & ~7UL, fetch_at(a & ~7UL));
}

int main(uint64_t hart) {
    (void)hart;
    access_at(0);
    access_at(0x50000);
    access_at(RAM - 0x80000000UL + 0x8000000);  // between the devices
    access_at(ram_end);
    access_at(ram_end + 0x12345678);
    access_at(1UL << 55);
    access_at(~7UL);
    expect_trap(CAUSE_FETCH_ACCESS, UART, fetch_at(UART));  // devices hold no code

    // The last bytes of RAM are RAM; an access across the end touches nothing inside.
    write64(ram_end - 8, 0x1122334455667788);
    expect_equal(read64(ram_end - 8), 0x1122334455667788);
    expect_trap(CAUSE_STORE_ACCESS, ram_end, write64(ram_end - 4, ~0UL));
    expect_trap(CAUSE_LOAD_ACCESS, ram_end, read64(ram_end - 1));
    expect_equal(read64(ram_end - 8), 0x1122334455667788);
    return 0;
}
