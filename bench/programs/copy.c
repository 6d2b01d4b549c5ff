// memcpy of the C library, of blocks from 64 bytes to 8 MiB.
#include <string.h>

#include "bench.h"

enum { kBytes = 8 << 20 };

static uint8_t *from, *to;

static void prepare(unsigned scale) {
    (void)scale;
    from = allocate(kBytes);
    to = allocate(kBytes);
    uint64_t state = 5;
    for (uint64_t i = 0; i < kBytes; i += 64) from[i] = (uint8_t)(next_random(&state) >> 20);
}

static uint64_t run(unsigned scale) {
    static const uint32_t kSizes[] = {64, 1000, 4096, 1 << 16, kBytes};
    uint64_t sum = 0;
    for (uint64_t round = 0, rounds = scaled(60, scale); round < rounds; round++)
        for (unsigned k = 0; k < sizeof kSizes / sizeof *kSizes; k++) {
            uint32_t size = kSizes[k];
            for (uint32_t at = 0; at + size <= kBytes; at += size) memcpy(to + at, from + at, size);
            from[round * 64 % kBytes] ^= to[(round * 4096 + k * 64) % kBytes];
            sum = sum * 31 + to[(round * 4160 + size) % kBytes];
        }
    return hash_bytes(sum, to, 1 << 16);
}

const struct Workload copy = {"memcpy", prepare, run};
