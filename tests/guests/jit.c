// Guests that write code while they run: each hart makes functions in a page that holds data too, fills memory with
// functions and calls old and new ones, and passes functions to the next hart, which runs them after fence.i.
#include "guest.h"

#ifndef ROUNDS
#define ROUNDS 150
#endif
#ifndef CPUS
#define CPUS 2
#endif
enum { kPage = 4096, kHeap = 16 * kPage, kCalls = 40, kLoops = 3 };

static uint8_t mixed[CPUS][kPage] __attribute__((aligned(4096)));
static uint8_t heap[CPUS][kHeap] __attribute__((aligned(4096)));
static uint8_t passed[CPUS][kPage] __attribute__((aligned(4096)));
static struct {
    volatile uint64_t given, taken;
    uint64_t unused[6];
} ring[CPUS] __attribute__((aligned(64)));
static uint64_t done;

enum { kA0 = 10, kA1 = 11, kZero = 0 };
static uint32_t addi(uint32_t rd, uint32_t rs, int32_t value) {
    return (uint32_t)value << 20 | rs << 15 | rd << 7 | 0x13;
}
enum { kRet = 0x8067, kBackToSum = 0xfe059ce3 };  // bnez a1, -8

// uint64_t f(void) { sum = 0; for (kLoops turns) sum += value; return sum; }; returns the bytes.
static uint64_t make(void* to, int32_t value) {
    volatile uint32_t* code = to;
    code[0] = addi(kA0, kZero, 0);
    code[1] = addi(kA1, kZero, kLoops);
    code[2] = addi(kA0, kA0, value);
    code[3] = addi(kA1, kA1, -1);
    code[4] = kBackToSum;
    code[5] = kRet;
    return 6 * sizeof *code;
}
static void call(const void* code, int32_t value) {
    expect_equal(((uint64_t(*)(void))code)(), (uint64_t)(int64_t)(kLoops * value));
}
static int32_t value_of(uint64_t round) {
    return (int32_t)(round * 7 % 2048);
}

// Data in the page of the code is written between calls; only changed code needs a fence.
static void use_mixed_page(uint8_t* page, uint64_t rounds) {
    volatile uint64_t* data = (volatile uint64_t*)(page + 2048);
    for (uint64_t i = 0; i < rounds; i++) {
        make(page, value_of(i));
        fence_i();
        for (uint64_t n = 0; n < kCalls; n++) {
            data[n] = i + n;
            call(page, value_of(i));
            expect_equal(data[n], i + n);
        }
        // One instruction inside the loop.
        *(volatile uint32_t*)(page + 8) = addi(kA0, kA0, value_of(i + 1));
        fence_i();
        for (uint64_t n = 0; n < kCalls; n++) call(page, value_of(i + 1));
    }
}

// Functions one behind the other, again and again through the same memory.
static void use_heap(uint8_t* memory, uint64_t rounds) {
    enum { kRoom = 24, kFunctions = kHeap / kRoom };
    for (uint64_t i = 0; i < rounds * 16; i++) {
        uint8_t* newest = memory + i % kFunctions * kRoom;
        make(newest, value_of(i));
        fence_i();
        for (uint64_t back = 0; back < 8 && back <= i; back++) {
            call(memory + (i - back) % kFunctions * kRoom, value_of(i - back));
        }
    }
}

// Every hart writes for the next one and runs what the one before wrote.
static void pass_round(uint64_t hart, uint64_t rounds) {
    uint64_t next = (hart + 1) % CPUS;
    for (uint64_t i = 1; i <= rounds; i++) {
        while (ring[next].taken != i - 1) {
        }
        make(passed[next], value_of(i + next));
        fence();
        ring[next].given = i;
        while (ring[hart].given != i) {
        }
        fence();
        fence_i();
        for (int n = 0; n < kCalls; n++) call(passed[hart], value_of(i + hart));
        fence();
        ring[hart].taken = i;
    }
}

void secondary(uint64_t hart) {
    use_mixed_page(mixed[hart], ROUNDS);
    use_heap(heap[hart], ROUNDS);
    pass_round(hart, ROUNDS);
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
}

int main(uint64_t hart) {
    secondary(hart);
    while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) != CPUS) {
    }
    return 0;
}
