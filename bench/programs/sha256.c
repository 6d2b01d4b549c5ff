// SHA-256 (FIPS 180-4), in plain C: rotations, additions and table loads in one long block.
#include <stddef.h>
#include <string.h>

#include "bench.h"

enum { kBuffer = 1 << 16 };

static uint32_t constants[64];
static uint8_t buffer[kBuffer];

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (section 4.2.2), by bisection of
// integers.
static uint32_t cube_root_fraction(unsigned prime) {
    unsigned __int128 target = (unsigned __int128)prime << 96;
    uint64_t root = 0;  // in units of 2^-32
    for (uint64_t bit = UINT64_C(1) << 34; bit; bit >>= 1) {
        uint64_t candidate = root | bit;
        if ((unsigned __int128)candidate * candidate * candidate <= target) root = candidate;
    }
    return (uint32_t)root;
}

static void prepare(unsigned scale) {
    (void)scale;
    for (unsigned number = 2, count = 0; count < 64; number++) {
        unsigned divisor = 2;
        while (number % divisor) divisor++;
        if (divisor == number) constants[count++] = cube_root_fraction(number);
    }
    uint64_t state = 42;
    for (unsigned i = 0; i < kBuffer; i++) buffer[i] = (uint8_t)(next_random(&state) >> 11);
}

static uint32_t rotate(uint32_t value, int by) {
    return value >> by | value << (32 - by);
}

static void compress(uint32_t h[8], const uint8_t* block) {
    uint32_t w[64], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], last = h[7];
    for (int i = 0; i < 16; i++, block += 4)
        w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    for (int i = 0; i < 64; i++) {
        uint32_t t1 =
            last + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i];
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        last = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += last;
}

static uint64_t run(unsigned scale) {
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint64_t buffers = scaled(2000, scale);
    for (uint64_t i = 0; i < buffers; i++)
        for (unsigned at = 0; at < kBuffer; at += 64) compress(h, buffer + at);
    uint8_t end[64] = {0x80};
    uint64_t bits = buffers * kBuffer * 8;
    for (int i = 0; i < 8; i++) end[63 - i] = (uint8_t)(bits >> 8 * i);
    compress(h, end);
    return (uint64_t)h[0] << 32 | h[1];
}

const struct Workload sha256 = {"sha256", prepare, run};
