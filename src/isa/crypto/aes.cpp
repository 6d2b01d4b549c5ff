#include "isa/crypto/aes.h"

#include <array>
#include <bit>

#include "isa/crypto/gf256.h"

namespace doppel::isa::crypto {

namespace {

constexpr unsigned kPolynomial = 0x11b;  // FIPS 197, 4.2

constexpr uint8_t times(uint8_t a, uint8_t b) {
    return gf_multiply<kPolynomial>(a, b);
}

// FIPS 197, 5.1.1: the inverse, then an affine transformation.
constexpr std::array<uint8_t, 256> make_substitution() {
    std::array<uint8_t, 256> table{};
    for (unsigned i = 0; i < 256; i++) {
        uint8_t b = gf_invert<kPolynomial>(static_cast<uint8_t>(i));
        table[i] =
            static_cast<uint8_t>(b ^ std::rotl(b, 1) ^ std::rotl(b, 2) ^ std::rotl(b, 3) ^ std::rotl(b, 4) ^ 0x63);
    }
    return table;
}
constexpr std::array<uint8_t, 256> kSubstitution = make_substitution();

constexpr std::array<uint8_t, 256> make_inverse() {
    std::array<uint8_t, 256> table{};
    for (unsigned i = 0; i < 256; i++) table[kSubstitution[i]] = static_cast<uint8_t>(i);
    return table;
}
constexpr std::array<uint8_t, 256> kInverseSubstitution = make_inverse();

// What a byte in row 0 adds to its column in MixColumns, after substitution. In row r it is this rotated by r bytes.
constexpr std::array<uint32_t, 256> make_mixed(const std::array<uint8_t, 256>& substitution,
                                               std::array<uint8_t, 4> column) {
    std::array<uint32_t, 256> table{};
    for (unsigned i = 0; i < 256; i++) {
        for (unsigned row = 0; row < 4; row++) table[i] |= uint32_t{times(substitution[i], column[row])} << 8 * row;
    }
    return table;
}
constexpr auto kMixed = make_mixed(kSubstitution, {2, 1, 1, 3});                   // 5.1.3
constexpr auto kInverseMixed = make_mixed(kInverseSubstitution, {14, 9, 13, 11});  // 5.3.3

struct State {
    uint64_t low, high;

    uint8_t byte(unsigned row, unsigned column) const {
        uint64_t half = column & 2 ? high : low;
        return static_cast<uint8_t>(half >> (32 * (column & 1) + 8 * row));
    }
};

// Row r moves by r columns: to the left when encrypting, to the right when decrypting.
enum class Shift : unsigned { kLeft = 1, kRight = 3 };

template <Shift shift>
constexpr unsigned source_column(unsigned row, unsigned column) {
    return (column + static_cast<unsigned>(shift) * row) & 3;
}

template <Shift shift>
uint64_t substitute(State state, const std::array<uint8_t, 256>& table) {
    uint64_t result = 0;
    for (unsigned column = 0; column < 2; column++) {
        for (unsigned row = 0; row < 4; row++) {
            result |= uint64_t{table[state.byte(row, source_column<shift>(row, column))]} << (32 * column + 8 * row);
        }
    }
    return result;
}

template <Shift shift>
uint64_t substitute_and_mix(State state, const std::array<uint32_t, 256>& table) {
    uint64_t result = 0;
    for (unsigned column = 0; column < 2; column++) {
        uint32_t mixed = 0;
        for (unsigned row = 0; row < 4; row++) {
            mixed ^= std::rotl(table[state.byte(row, source_column<shift>(row, column))], static_cast<int>(8 * row));
        }
        result |= uint64_t{mixed} << 32 * column;
    }
    return result;
}

constexpr std::array<uint8_t, kAesRoundConstants> make_round_constants() {
    std::array<uint8_t, kAesRoundConstants> table{};
    uint8_t power = 1;
    for (uint8_t& one : table) {
        one = power;
        power = times(power, 2);
    }
    return table;
}
constexpr auto kRoundConstants = make_round_constants();

}  // namespace

uint64_t aes_encrypt_last(uint64_t low, uint64_t high) {
    return substitute<Shift::kLeft>({low, high}, kSubstitution);
}

uint64_t aes_encrypt(uint64_t low, uint64_t high) {
    return substitute_and_mix<Shift::kLeft>({low, high}, kMixed);
}

uint64_t aes_decrypt_last(uint64_t low, uint64_t high) {
    return substitute<Shift::kRight>({low, high}, kInverseSubstitution);
}

uint64_t aes_decrypt(uint64_t low, uint64_t high) {
    return substitute_and_mix<Shift::kRight>({low, high}, kInverseMixed);
}

uint64_t aes_inverse_mix_columns(uint64_t columns) {
    uint64_t result = 0;
    for (unsigned i = 0; i < 8; i++) {
        // The table substitutes inversely first: undone beforehand.
        uint32_t mixed = kInverseMixed[kSubstitution[columns >> 8 * i & 0xff]];
        result ^= uint64_t{std::rotl(mixed, static_cast<int>(8 * (i & 3)))} << 32 * (i / 4);
    }
    return result;
}

uint32_t aes_substitute_word(uint32_t word) {
    uint32_t result = 0;
    for (unsigned shift = 0; shift < 32; shift += 8) result |= uint32_t{kSubstitution[word >> shift & 0xff]} << shift;
    return result;
}

uint32_t aes_round_constant(unsigned index) {
    return kRoundConstants[index];
}

}  // namespace doppel::isa::crypto
