// Runs until it is stopped.
#include "guest.h"

int main(uint64_t hart) {
    (void)hart;
    put("running\n");
    for (;;) __asm__ volatile("");
}
