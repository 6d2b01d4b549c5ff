#include "isa/crypto/aes.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <span>
#include <vector>

namespace doppel::isa::crypto {
namespace {

using Block = std::array<uint8_t, 16>;
struct Halves {
    uint64_t low, high;
    bool operator==(const Halves&) const = default;
};

Halves halves(const Block& block) {
    Halves h;
    std::memcpy(&h.low, block.data(), 8), std::memcpy(&h.high, block.data() + 8, 8);
    return h;
}
Halves operator^(Halves a, Halves b) {
    return {a.low ^ b.low, a.high ^ b.high};
}

// FIPS 197, 5.2, from the steps.
std::vector<Halves> expand(std::span<const uint8_t> key) {
    const size_t words_in_key = key.size() / 4, rounds = words_in_key + 6;
    std::vector<uint32_t> words(4 * (rounds + 1));
    std::memcpy(words.data(), key.data(), key.size());
    for (size_t i = words_in_key; i < words.size(); i++) {
        uint32_t last = words[i - 1];
        if (i % words_in_key == 0) {
            last = aes_substitute_word(last >> 8 | last << 24) ^
                   aes_round_constant(static_cast<unsigned>(i / words_in_key - 1));
        } else if (words_in_key > 6 && i % words_in_key == 4) {
            last = aes_substitute_word(last);
        }
        words[i] = words[i - words_in_key] ^ last;
    }
    std::vector<Halves> keys(rounds + 1);
    std::memcpy(keys.data(), words.data(), 4 * words.size());
    return keys;
}

Halves encrypt(Halves state, const std::vector<Halves>& keys) {
    state = state ^ keys[0];
    for (size_t i = 1; i + 1 < keys.size(); i++) {
        state = Halves{aes_encrypt(state.low, state.high), aes_encrypt(state.high, state.low)} ^ keys[i];
    }
    return Halves{aes_encrypt_last(state.low, state.high), aes_encrypt_last(state.high, state.low)} ^ keys.back();
}

// FIPS 197, 5.3.5: the equivalent inverse cipher.
Halves decrypt(Halves state, const std::vector<Halves>& keys) {
    state = state ^ keys.back();
    for (size_t i = keys.size() - 2; i > 0; i--) {
        Halves key = {aes_inverse_mix_columns(keys[i].low), aes_inverse_mix_columns(keys[i].high)};
        state = Halves{aes_decrypt(state.low, state.high), aes_decrypt(state.high, state.low)} ^ key;
    }
    return Halves{aes_decrypt_last(state.low, state.high), aes_decrypt_last(state.high, state.low)} ^ keys[0];
}

constexpr Block kPlain = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                          0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

// FIPS 197, appendix C: the key is 00 01 02 ...
void expect_cipher(size_t key_bytes, const Block& cipher) {
    std::vector<uint8_t> key(key_bytes);
    for (size_t i = 0; i < key_bytes; i++) key[i] = static_cast<uint8_t>(i);
    auto keys = expand(key);
    EXPECT_EQ(encrypt(halves(kPlain), keys), halves(cipher));
    EXPECT_EQ(decrypt(halves(cipher), keys), halves(kPlain));
}

TEST(Aes, EncryptsAndDecryptsTheStandardsExamples) {
    expect_cipher(16, {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a});
    expect_cipher(24, {0xdd, 0xa9, 0x7c, 0xa4, 0x86, 0x4c, 0xdf, 0xe0, 0x6e, 0xaf, 0x70, 0xa0, 0xec, 0x0d, 0x71, 0x91});
    expect_cipher(32, {0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf, 0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89});
}

TEST(Aes, HasTheRoundConstantsOfTheStandard) {
    constexpr uint32_t kConstants[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36};
    for (unsigned i = 0; i < kAesRoundConstants; i++) EXPECT_EQ(aes_round_constant(i), kConstants[i]) << i;
}

// FIPS 197, figure 7 and appendix A.
TEST(Aes, SubstitutesWords) {
    EXPECT_EQ(aes_substitute_word(0xff530100), 0x16ed7c63u);
    EXPECT_EQ(aes_substitute_word(0x6c76052a), 0x50386be5u);
}

TEST(Aes, InvertsEachByteAtEachPlace) {
    for (uint64_t byte = 0; byte < 256; byte++) {
        for (unsigned shift = 0; shift < 64; shift += 8) {
            Halves state = {byte << shift, ~byte << shift};
            Halves last = {aes_encrypt_last(state.low, state.high), aes_encrypt_last(state.high, state.low)};
            EXPECT_EQ((Halves{aes_decrypt_last(last.low, last.high), aes_decrypt_last(last.high, last.low)}), state);
            Halves mixed = {aes_encrypt(state.low, state.high), aes_encrypt(state.high, state.low)};
            EXPECT_EQ(aes_inverse_mix_columns(mixed.low), last.low);
            EXPECT_EQ(aes_inverse_mix_columns(mixed.high), last.high);
        }
    }
}

}  // namespace
}  // namespace doppel::isa::crypto
