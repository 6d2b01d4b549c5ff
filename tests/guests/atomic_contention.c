// Four harts count together by AMO, by LR/SC, and under a lock; no count is lost.
#include "guest.h"

#ifndef EACH
#define EACH 20000
#endif
enum { kHarts = 4, kEach = EACH };
static uint64_t by_amo, by_lr_sc, under_lock, bits, ready, done;
static uint32_t by_amo_w, lock;

static void take(uint32_t* word) {
    while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE)) {
    }
}

static void add_by_lr_sc(uint64_t* word) {
    uint64_t value, failed;
    do {
        __asm__ volatile("lr.d %0, (%2)\n addi %0, %0, 1\n sc.d %1, %0, (%2)"
                         : "=&r"(value), "=&r"(failed)
                         : "r"(word)
                         : "memory");
    } while (failed);
}

void secondary(uint64_t hart) {
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) != kHarts) {
    }
    for (int i = 0; i < kEach; i++) {
        __atomic_fetch_add(&by_amo, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&by_amo_w, 1, __ATOMIC_RELAXED);
        add_by_lr_sc(&by_lr_sc);
        __atomic_fetch_xor(&bits, 1UL << (hart + 8 * (i % 4)), __ATOMIC_RELAXED);
        take(&lock);
        under_lock++;
        __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    }
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

int main(uint64_t hart) {
    secondary(hart);
    while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) != kHarts) {
    }
    expect_equal(by_amo, kHarts * kEach);
    expect_equal(by_amo_w, kHarts * kEach);
    expect_equal(by_lr_sc, kHarts * kEach);
    expect_equal(under_lock, kHarts * kEach);
    expect_equal(bits, 0);
    return 0;
}
