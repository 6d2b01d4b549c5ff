// Finds the end of RAM by the first access fault, in steps of 1 MiB, and writes both ends. Prints MiB.
#include "guest.h"

int main(uint64_t hart) {
    (void)hart;
    uint64_t step = 1UL << 20, mib = 0;
    for (; mib < 1UL << 21; mib++) {
        uint64_t before = traps[0].count;
        read8(RAM + mib * step);
        if (traps[0].count != before) break;
    }
    uint64_t last = RAM + mib * step - 8;
    write64(last, 0x1234567890abcdef);
    expect_equal(read64(last), 0x1234567890abcdef);
    put("memory ");
    put_decimal(mib);
    put(" MiB\n");
    return 0;
}
