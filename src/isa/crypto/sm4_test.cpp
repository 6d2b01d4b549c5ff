#include "isa/crypto/sm4.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>

namespace doppel::isa::crypto {
namespace {

using Words = std::array<uint32_t, 4>;  // as little-endian loads of the standard's bytes

Words words(const std::array<uint8_t, 16>& bytes) {
    Words w;
    std::memcpy(w.data(), bytes.data(), 16);
    return w;
}

template <uint32_t (*round)(uint8_t)>
uint32_t transformed(uint32_t word) {
    uint32_t sum = 0;
    for (unsigned byte = 0; byte < 4; byte++) {
        sum ^= std::rotl(round(static_cast<uint8_t>(word >> 8 * byte)), static_cast<int>(8 * byte));
    }
    return sum;
}

// GB/T 32907-2016, 7.3.
std::array<uint32_t, 32> expand(Words key) {
    const Words kSystem =
        words({0xa3, 0xb1, 0xba, 0xc6, 0x56, 0xaa, 0x33, 0x50, 0x67, 0x7d, 0x91, 0x97, 0xb2, 0x70, 0x22, 0xdc});
    for (unsigned i = 0; i < 4; i++) key[i] ^= kSystem[i];
    std::array<uint32_t, 32> keys;
    for (unsigned i = 0; i < 32; i++) {
        uint32_t constant = 0;
        for (unsigned j = 0; j < 4; j++) constant |= ((4 * i + j) * 7 & 0xff) << 8 * j;
        keys[i] = key[0] ^ transformed<sm4_key_round>(key[1] ^ key[2] ^ key[3] ^ constant);
        key = {key[1], key[2], key[3], keys[i]};
    }
    return keys;
}

Words run(Words x, const std::array<uint32_t, 32>& keys, bool forwards) {
    for (unsigned i = 0; i < 32; i++) {
        uint32_t next = x[0] ^ transformed<sm4_round>(x[1] ^ x[2] ^ x[3] ^ keys[forwards ? i : 31 - i]);
        x = {x[1], x[2], x[3], next};
    }
    return {x[3], x[2], x[1], x[0]};
}

// GB/T 32907-2016, appendix A: key and plain text are the same.
constexpr std::array<uint8_t, 16> kPlain = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                            0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};

TEST(Sm4, EncryptsAndDecryptsTheStandardsFirstExample) {
    const Words cipher =
        words({0x68, 0x1e, 0xdf, 0x34, 0xd2, 0x06, 0x96, 0x5e, 0x86, 0xb3, 0xe9, 0x4f, 0x53, 0x6e, 0x42, 0x46});
    auto keys = expand(words(kPlain));
    EXPECT_EQ(keys[0], __builtin_bswap32(0xf12186f9));
    EXPECT_EQ(keys[31], __builtin_bswap32(0x9124a012));
    EXPECT_EQ(run(words(kPlain), keys, true), cipher);
    EXPECT_EQ(run(cipher, keys, false), words(kPlain));
}

TEST(Sm4, EncryptsTheStandardsSecondExampleAMillionTimes) {
    const Words cipher =
        words({0x59, 0x52, 0x98, 0xc7, 0xc6, 0xfd, 0x27, 0x1f, 0x04, 0x02, 0xf8, 0x04, 0xc3, 0x3d, 0x3f, 0x66});
    auto keys = expand(words(kPlain));
    Words x = words(kPlain);
    for (int i = 0; i < 1'000'000; i++) x = run(x, keys, true);
    EXPECT_EQ(x, cipher);
}

}  // namespace
}  // namespace doppel::isa::crypto
