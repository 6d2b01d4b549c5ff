// Every measured program does its work and then prints "instructions N checksum X" and ends by the test finisher, which
// doppel and QEMU have both. ROUNDS says how much work.
#pragma once

#include "guest.h"

_Noreturn static inline int report(uint64_t hart, uint64_t (*work)(void)) {
    (void)hart;
    uint64_t sum = 0, instructions = 0;
#ifndef EMPTY
    uint64_t before = csr_read(minstret);
    sum = work();
    instructions = csr_read(minstret) - before;
#else
    (void)work;
#endif
    put("instructions ");
    put_decimal(instructions);
    put(" checksum ");
    put_hex(sum);
    put("\n");
    write32(FINISHER, 0x5555);
    for (;;) wfi();
}
