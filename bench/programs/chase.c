// A chain of pointers through 64 MiB, one a cache line, in random order: the latency of memory and of the TLB.
#include <stddef.h>

#include "bench.h"

enum { kBytes = 64 << 20, kLine = 64, kLinks = kBytes / kLine };

struct Link {
    struct Link* next;
    uint8_t padding[kLine - sizeof(void*)];
};

static struct Link* links;

static void prepare(unsigned scale) {
    (void)scale;
    links = allocate(kBytes);
    uint32_t* order = allocate(kLinks * sizeof *order);
    for (uint32_t i = 0; i < kLinks; i++) order[i] = i;
    uint64_t state = 99;
    for (uint32_t i = kLinks - 1; i > 0; i--) {  // Sattolo's shuffle: one cycle
        uint32_t other = (uint32_t)((next_random(&state) >> 16) % i), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    for (uint32_t i = 0; i < kLinks; i++) links[order[i]].next = &links[order[(i + 1) % kLinks]];
}

static uint64_t run(unsigned scale) {
    const struct Link* at = links;
    for (uint64_t i = 0, steps = scaled(6000000, scale); i < steps; i++) at = at->next;
    return (uint64_t)(at - links);
}

const struct Workload chase = {"chase", prepare, run};
