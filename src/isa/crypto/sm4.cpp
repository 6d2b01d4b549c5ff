#include "isa/crypto/sm4.h"

#include <array>
#include <bit>

#include "isa/crypto/gf256.h"

namespace doppel::isa::crypto {

namespace {

// The S-box is an affine transformation, the inverse modulo x^8+x^7+x^6+x^5+x^4+x^2+1, and the affine transformation
// again.
constexpr unsigned kPolynomial = 0x1f5;

constexpr uint8_t transform(uint8_t x) {
    return static_cast<uint8_t>(x ^ std::rotl(x, 1) ^ std::rotl(x, 3) ^ std::rotl(x, 6) ^ std::rotl(x, 7) ^ 0xd3);
}
constexpr uint8_t substitute(uint8_t x) {
    return transform(gf_invert<kPolynomial>(transform(x)));
}

constexpr uint32_t linear(uint32_t b) {
    return b ^ std::rotl(b, 2) ^ std::rotl(b, 10) ^ std::rotl(b, 18) ^ std::rotl(b, 24);
}
constexpr uint32_t key_linear(uint32_t b) {
    return b ^ std::rotl(b, 13) ^ std::rotl(b, 23);
}

// The standard's first byte is its words' highest, and ours' lowest.
template <uint32_t (*transformation)(uint32_t)>
constexpr std::array<uint32_t, 256> make_table() {
    std::array<uint32_t, 256> table{};
    for (unsigned i = 0; i < 256; i++) {
        table[i] = __builtin_bswap32(transformation(uint32_t{substitute(static_cast<uint8_t>(i))} << 24));
    }
    return table;
}
constexpr auto kRound = make_table<linear>();
constexpr auto kKeyRound = make_table<key_linear>();

}  // namespace

uint32_t sm4_round(uint8_t byte) {
    return kRound[byte];
}

uint32_t sm4_key_round(uint8_t byte) {
    return kKeyRound[byte];
}

}  // namespace doppel::isa::crypto
