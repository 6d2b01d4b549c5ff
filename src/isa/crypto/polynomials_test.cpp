// carry_less.h, crossbar.h and gf256.h, which have no source files of their own.
#include <gtest/gtest.h>

#include "isa/crypto/carry_less.h"
#include "isa/crypto/crossbar.h"
#include "isa/crypto/gf256.h"

namespace doppel::isa::crypto {
namespace {

// The product bit by bit, as the manual's pseudocode has it.
uint64_t product_bit(uint64_t a, uint64_t b, unsigned bit) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < 64; i++) {
        if (bit >= i && bit - i < 64) sum ^= (b >> i & 1) & (a >> (bit - i) & 1);
    }
    return sum;
}

TEST(CarryLessProduct, IsTheOneOfItsBits) {
    uint64_t state = 1;
    auto next = [&] { return state = state * 6364136223846793005 + 1442695040888963407; };
    for (int i = 0; i < 200; i++) {
        uint64_t a = next() ^ next() >> 31, b = next() ^ next() >> 31;
        if (i == 0) a = b = 0;
        if (i == 1) a = b = ~uint64_t{0};
        if (i == 2) a = 1;
        if (i == 3) b = 1;
        uint64_t low = 0, high = 0, reversed = 0;
        for (unsigned bit = 0; bit < 64; bit++) {
            low |= product_bit(a, b, bit) << bit;
            high |= product_bit(a, b, bit + 64) << bit;
            reversed |= product_bit(a, b, bit + 63) << bit;
        }
        EXPECT_EQ(carry_less_low(a, b), low);
        EXPECT_EQ(carry_less_high(a, b), high);
        EXPECT_EQ(carry_less_reversed(a, b), reversed);
    }
}

TEST(Crossbar, LooksUpNibblesAndBytes) {
    EXPECT_EQ(crossbar<4>(0xfedcba9876543210, 0x0123456789abcdef), 0x0123456789abcdefu);
    EXPECT_EQ(crossbar<4>(0x0123456789abcdef, 0x0000000000000001), 0xfffffffffffffffeu);
    EXPECT_EQ(crossbar<8>(0x8877665544332211, 0x0001020304050607), 0x1122334455667788u);
    EXPECT_EQ(crossbar<8>(0x8877665544332211, 0xff08800710400006), 0x0000008800001177u);
}

// FIPS 197, 4.2: {57} times {83} is {c1}, times {13} is {fe}.
TEST(FiniteField, MultipliesAndInverts) {
    EXPECT_EQ(gf_multiply<0x11b>(0x57, 0x83), 0xc1);
    EXPECT_EQ(gf_multiply<0x11b>(0x57, 0x13), 0xfe);
    for (unsigned a = 1; a < 256; a++) {
        auto byte = static_cast<uint8_t>(a);
        EXPECT_EQ(gf_multiply<0x11b>(byte, gf_invert<0x11b>(byte)), 1);
        EXPECT_EQ(gf_multiply<0x1f5>(byte, gf_invert<0x1f5>(byte)), 1);
    }
    EXPECT_EQ(gf_invert<0x11b>(0), 0);
}

}  // namespace
}  // namespace doppel::isa::crypto
