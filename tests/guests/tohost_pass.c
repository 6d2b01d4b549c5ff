#include "guest.h"

int main(uint64_t hart) {
    return (int)hart;
}
