// Waits until it is stopped.
#include "guest.h"

int main(uint64_t hart) {
    (void)hart;
    put("waiting\n");
    for (;;) wfi();
}
