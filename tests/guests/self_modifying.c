// Code that was run is changed, thousands of times, and after fence.i the new code runs: in the same page as the
// writer, across two pages, and in another hart.
#include "guest.h"

static uint32_t code[2048] __attribute__((aligned(4096)));
static volatile uint64_t asked, answered, result;

static uint32_t li_a0(uint32_t value) {
    return value << 20 | 0x513;
}  // addi a0, x0, value
enum { kRet = 0x8067 };  // jalr x0, 0(ra)

static uint64_t call(uint32_t* at) {
    return ((uint64_t(*)(void))at)();
}

static void rewrite(uint32_t* at) {
    at[1] = kRet;
    for (uint32_t i = 0; i < 1500; i++) {
        *(volatile uint32_t*)at = li_a0(i);
        fence_i();
        expect_equal(call(at), i);
    }
}

void secondary(uint64_t hart) {
    if (hart != 1) return;
    for (uint64_t seen = 0;;) {
        while (asked == seen) {
        }
        seen = asked;
        fence();
        fence_i();
        result = call(code + 64);
        fence();
        answered = seen;
    }
}

int main(uint64_t hart) {
    (void)hart;
    rewrite(code);
    rewrite(code + 1023);                      // the return lies in the next page
    rewrite((uint32_t*)((char*)code + 4094));  // the instruction itself crosses
    code[65] = kRet;
    for (uint32_t i = 1; i < 1000; i++) {
        *(volatile uint32_t*)(code + 64) = li_a0(i);
        fence();
        asked = i;
        while (answered != i) {
        }
        expect_equal(result, i);
    }
    return 0;
}
