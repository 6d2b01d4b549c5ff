// Fibonacci numbers by recursion: calls and returns.
#include <stddef.h>

#include "bench.h"

// Clones that the compiler makes of it would be another program on each instruction set.
__attribute__((noipa)) static uint64_t fibonacci(unsigned n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t run(unsigned scale) {
    uint64_t sum = 0;
    for (uint64_t i = 0, rounds = scaled(120, scale); i < rounds; i++) sum = sum * 31 + fibonacci(27 + i % 3);
    return sum;
}

const struct Workload fib = {"fib", NULL, run};
