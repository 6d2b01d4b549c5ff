// Resets at an r, ends at a full stop. Says how often it has started since its memory was loaded: each reset loads
// anew.
#include "guest.h"

static volatile uint64_t starts __attribute__((section(".data"))) = 0;
static volatile uint64_t zeroed;  // in .bss

int main(uint64_t hart) {
    (void)hart;
    starts++;
    zeroed++;
    put("start ");
    put_decimal(starts);
    put(" of ");
    put_decimal(zeroed);
    put("\n");
    for (;;) {
        if (!(read8(UART + 5) & 1)) continue;
        char key = (char)read8(UART);
        if (key == '.') return 0;
        if (key == 'r') write32(FINISHER, 0x7777);
    }
}
