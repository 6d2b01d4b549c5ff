// a[i] = b[i] + s * c[i] over arrays that no cache holds.
#include <stddef.h>

#include "bench.h"

enum { kElements = 1 << 20 };

static double *a, *b, *c;

static void prepare(unsigned scale) {
    (void)scale;
    a = allocate(kElements * sizeof *a);
    b = allocate(kElements * sizeof *b);
    c = allocate(kElements * sizeof *c);
    for (unsigned i = 0; i < kElements; i++) {
        a[i] = 0;
        b[i] = i % 1024;
        c[i] = i % 512 + 1;
    }
}

static uint64_t run(unsigned scale) {
    for (uint64_t round = 0, rounds = scaled(100, scale); round < rounds; round++) {
        double factor = (double)(round % 8 + 1);
        for (unsigned i = 0; i < kElements; i++) a[i] = b[i] + factor * c[i];
    }
    uint64_t hash = kHashStart;
    for (unsigned i = 0; i < kElements; i += 4099) hash = hash_rounded(hash, a[i]);
    return hash;
}

const struct Workload triad = {"triad", prepare, run};
