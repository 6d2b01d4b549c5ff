#include "guest.h"

int main(uint64_t hart) {
    (void)hart;
    return 42;
}
