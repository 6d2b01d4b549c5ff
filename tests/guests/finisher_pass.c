#include "guest.h"

int main(uint64_t hart) {
    (void)hart;
    write32(FINISHER, 0x5555);
    for (;;) wfi();
}
