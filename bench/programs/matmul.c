// Products of matrices of doubles, in the plain order of loops.
#include <stddef.h>

#include "bench.h"

enum { kSide = 128 };

static double a[kSide][kSide], b[kSide][kSide], product[kSide][kSide];

static void prepare(unsigned scale) {
    (void)scale;
    for (int i = 0; i < kSide; i++)
        for (int j = 0; j < kSide; j++) {
            a[i][j] = (i * 7 + j * 3) % 17 / 17.0;
            b[i][j] = (i * 5 + j * 11) % 13 / 13.0;
        }
}

static uint64_t run(unsigned scale) {
    uint64_t hash = kHashStart;
    for (uint64_t round = 0, rounds = scaled(100, scale); round < rounds; round++) {
        for (int i = 0; i < kSide; i++)
            for (int j = 0; j < kSide; j++) {
                double cell = 0;
                for (int k = 0; k < kSide; k++) cell += a[i][k] * b[k][j];
                product[i][j] = cell;
            }
        a[round % kSide][round * 3 % kSide] = product[5][7] / kSide;
        hash = hash_rounded(hash, product[round % kSide][round * 7 % kSide]);
    }
    return hash;
}

const struct Workload matmul = {"matmul", prepare, run};
