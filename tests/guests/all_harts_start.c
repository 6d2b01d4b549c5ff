// All harts start, each with its number, at the same address.
#include "guest.h"

enum { kHarts = 16 };
static uint64_t arrived;

void secondary(uint64_t hart) {
    if (hart == csr_read(mhartid)) __atomic_fetch_or(&arrived, 1UL << hart, __ATOMIC_SEQ_CST);
}

int main(uint64_t hart) {
    secondary(hart);
    while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) != (1UL << kHarts) - 1) {
    }
    return 0;
}
