// All bytes but those that a terminal would act on, and more than any FIFO holds.
#include "guest.h"

int main(uint64_t hart) {
    (void)hart;
    for (int line = 0; line < 64; line++) {
        for (char c = ' '; c < 127; c++) put_char(c);
        put_char('\n');
    }
    put("the end\n");
    return 0;
}
