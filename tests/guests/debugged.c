// What tests/machine/debugging.py debugs: calls and variables to look at, and one word that others than hart 0 change.
#include "guest.h"

struct place {
    int32_t x, y;
};
struct place here = {3, 4};
volatile uint64_t touched = 0x1122334455667788;
volatile uint64_t turns[16];
volatile int goes_on = 1;

__attribute__((noinline)) int32_t add_to_place(struct place* place, int32_t by) {
    place->x += by;
    place->y -= by;
    return place->x * place->y;
}

__attribute__((noinline)) void touch(uint64_t value) {
    touched = value;
}

void secondary(uint64_t hart) {
    while (goes_on) turns[hart]++;
}

int main(uint64_t hart) {
    put("here\n");
    int32_t product = add_to_place(&here, 2);
    expect_equal(product, 10);
    touch(42);
    for (uint64_t turn = 0; goes_on; turn++) {
        turns[hart] = turn;
        if (turn % 1000 == 999) touch(43);
    }
    put("the end\n");
    return 0;
}
