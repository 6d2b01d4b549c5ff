// What the programs share that bench/translator runs in the guest and natively. Each file is one workload: `prepare`,
// which is not timed, and `run`, whose result must be the same on every instruction set. `scale` is the amount of work
// in percent.
#pragma once

#include <stdint.h>

struct Workload {
    const char* name;
    void (*prepare)(unsigned scale);  // may be null
    uint64_t (*run)(unsigned scale);
};

extern const struct Workload mix, sha256, sort_hash, bytecode, fib, chase, copy, triad, nbody, mandelbrot, matmul,
    spawn, spawn_dynamic;

// `work` at 100 percent, but never nothing.
static inline uint64_t scaled(uint64_t work, unsigned scale) {
    uint64_t amount = work * scale / 100;
    return amount > 0 ? amount : 1;
}

// xorshift64; the state must not be 0.
static inline uint64_t next_random(uint64_t* state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

// FNV-1a.
static const uint64_t kHashStart = 14695981039346656037u;
static inline uint64_t hash_bytes(uint64_t hash, const void* data, uint64_t size) {
    const uint8_t* bytes = data;
    for (uint64_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

// Floating point to six significant digits: one instruction set contracts a * b + c to a fused operation, the other
// does not.
uint64_t hash_rounded(uint64_t hash, double value);

void* allocate(uint64_t size);  // zeroed, or the program ends
