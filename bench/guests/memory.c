// Memory: copy and fill 8 MiB, add them up with a stride, and follow a chain of pointers through 4 MiB.
#include "report.h"

enum { kWords = 1 << 20, kLinks = 1 << 19 };
static uint64_t from[kWords], to[kWords];
static uint64_t links[kLinks];

static uint64_t work(void) {
    uint64_t at = 0, sum = 0;
    for (uint64_t i = 0; i < kLinks; i++) links[i] = (i * 0x9e3779b1 + 12345) & (kLinks - 1);
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < kWords; i += 4) {
            from[i] = i + (unsigned)round;
            from[i + 1] = i;
            from[i + 2] = sum;
            from[i + 3] = 1;
        }
        for (unsigned i = 0; i < kWords; i += 4) {
            to[i] = from[i];
            to[i + 1] = from[i + 1];
            to[i + 2] = from[i + 2];
            to[i + 3] = from[i + 3];
        }
        for (unsigned start = 0; start < 64; start++)
            for (unsigned i = start; i < kWords; i += 64 * 8) sum += to[i];
        for (unsigned i = 0; i < kLinks; i++) at = links[at] ^ (i & 1);
    }
    return sum + at;
}

int main(uint64_t hart) {
    return report(hart, work);
}
