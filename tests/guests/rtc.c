// The goldfish RTC gives nanoseconds since 1970, goes on, and raises its alarm. Prints the second for the test.
#include "guest.h"

enum { kRtcInput = 11 };

static uint64_t now(void) {
    uint64_t low = read32(RTC);  // latches the upper half
    return (uint64_t)read32(RTC + 4) << 32 | low;
}

int main(uint64_t hart) {
    (void)hart;
    uint64_t last = now();
    for (int i = 0; i < 1000; i++) {
        uint64_t next = now();
        expect(next >= last);
        last = next;
    }
    put("seconds ");
    put_decimal(now() / 1000000000);
    put("\n");

    write32(RTC + 0x10, 1);  // interrupts on
    uint64_t alarm = now() + 5000000;
    write32(RTC + 0xc, (uint32_t)(alarm >> 32));
    write32(RTC + 8, (uint32_t)alarm);
    expect_equal(read32(RTC + 0x18), 1);
    while (!(read32(PLIC + 0x1000) >> kRtcInput & 1)) {
    }
    expect(now() >= alarm);
    expect_equal(read32(RTC + 0x18), 0);
    return 0;
}
