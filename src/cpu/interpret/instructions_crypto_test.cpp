// Zbc, Zbkb, Zbkx, Zkn, Zks and Zkr on the interpreter. Known answers are those of the standards; what helpers compute
// is tested in isa/crypto.
#include <array>
#include <bit>
#include <cstring>

#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

constexpr uint64_t kMin = uint64_t{1} << 63, kOnes = ~uint64_t{0};

TEST(CarryLess, Multiplies) {
    expect_results({
        {"clmul a0, a1, a2", 3, 3, 5},
        {"clmul a0, a1, a2", kOnes, kOnes, 0x5555555555555555},
        {"clmulh a0, a1, a2", kOnes, kOnes, 0x5555555555555555},
        {"clmulr a0, a1, a2", kOnes, kOnes, 0xaaaaaaaaaaaaaaaa},
        {"clmul a0, a1, a2", kMin, 2, 0},
        {"clmulh a0, a1, a2", kMin, 2, 1},
        {"clmulr a0, a1, a2", kMin, 2, 2},
        {"clmulh a0, a1, a2", kMin, 1, 0},
        {"clmulr a0, a1, a2", kMin, 1, 1},
        {"clmulh a0, a1, a2", 0x1234, 0, 0},
    });
}

TEST(CryptographyBitManipulation, PacksAndReversesAndLooksUp) {
    expect_results({
        {"pack a0, a1, a2", 0x1111111122222222, 0x3333333344444444, 0x4444444422222222},
        {"packh a0, a1, a2", 0x1234, 0x5678, 0x7834},
        {"packw a0, a1, a2", 0x11112222, 0x3333f444, 0xfffffffff4442222},
        {"packw a0, a1, a2", 0x11118222, 0x33334444, 0x44448222},
        {"brev8 a0, a1", 0x0102030405068010, 0, 0x8040c020a0600108},
        {"xperm4 a0, a1, a2", 0xfedcba9876543210, 0x0123456789abcdef, 0x0123456789abcdef},
        {"xperm8 a0, a1, a2", 0x8877665544332211, 0xff08800710400006, 0x0000008800001177},
    });
}

// FIPS 180-4, 4.1.2 and 4.1.3, on one bit: where it goes. 32-bit results are sign-extended.
TEST(SecureHash, RotatesAndShifts) {
    auto bits = [](std::initializer_list<unsigned> numbers) {
        uint64_t sum = 0;
        for (unsigned n : numbers) sum |= uint64_t{1} << n;
        return sum;
    };
    constexpr uint64_t kHigh = 0xffffffff00000000;
    expect_results({
        {"sha256sum0 a0, a1", 1, 0, bits({30, 19, 10})},
        {"sha256sum1 a0, a1", 1, 0, bits({26, 21, 7})},
        {"sha256sig0 a0, a1", 1, 0, bits({25, 14})},
        {"sha256sig1 a0, a1", 1, 0, bits({15, 13})},
        {"sha256sum0 a0, a1", 2, 0, bits({31, 20, 11}) | kHigh},
        {"sha256sig0 a0, a1", 0x80000000, 0, bits({24, 13, 28})},
        {"sha256sig1 a0, a1", kHigh, 0, 0},
        {"sha512sum0 a0, a1", 1, 0, bits({36, 30, 25})},
        {"sha512sum1 a0, a1", 1, 0, bits({50, 46, 23})},
        {"sha512sig0 a0, a1", 1, 0, bits({63, 56})},
        {"sha512sig1 a0, a1", 1, 0, bits({45, 3})},
        {"sha512sig0 a0, a1", kMin, 0, bits({62, 55, 56})},
        {"sha512sig1 a0, a1", kMin, 0, bits({44, 2, 57})},
        {"sm3p0 a0, a1", 1, 0, bits({0, 9, 17})},
        {"sm3p1 a0, a1", 1, 0, bits({0, 15, 23})},
        {"sm3p0 a0, a1", 0x80000000, 0, bits({31, 8, 16}) | kHigh},
        {"sm3p1 a0, a1", 0x100, 0, bits({8, 23, 31}) | kHigh},
    });
}

// One result of a two-operand instruction, on a machine of its own program.
class Calculator {
  public:
    uint64_t operator()(const std::string& line, uint64_t a1, uint64_t a2 = 0) {
        machine_.x("a1") = a1, machine_.x("a2") = a2;
        machine_.execute({line});
        return machine_.x("a0");
    }
    uint32_t word(const std::string& line, uint64_t a1, uint64_t a2 = 0) {
        uint64_t result = (*this)(line, a1, a2);
        EXPECT_EQ(result, static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(result)))) << line;
        return static_cast<uint32_t>(result);
    }

  private:
    ProgramMachine machine_;
};

// FIPS 180-4, 4.2.3 and 5.3.5. Those of SHA-256 are their upper halves.
constexpr std::array<uint64_t, 80> kShaConstants = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817};
constexpr std::array<uint64_t, 8> kShaStart = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                               0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                               0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

// The compression function on the one block that holds "abc". `apply` is an instruction: its mnemonic ends in what it
// is told.
template <class Word, size_t kRounds, class Apply>
std::array<Word, 8> digest_of_abc(Apply apply) {
    auto constant = [](uint64_t full) { return static_cast<Word>(full >> (64 - 8 * sizeof(Word))); };
    std::array<Word, kRounds> w{constant(0x6162638000000000)};
    w[15] = 24;  // the message's length in bits
    for (size_t t = 16; t < kRounds; t++)
        w[t] = apply("sig1", w[t - 2]) + w[t - 7] + apply("sig0", w[t - 15]) + w[t - 16];
    std::array<Word, 8> h, start;
    for (size_t i = 0; i < 8; i++) h[i] = start[i] = constant(kShaStart[i]);
    for (size_t t = 0; t < kRounds; t++) {
        Word choice = (h[4] & h[5]) ^ (~h[4] & h[6]), majority = (h[0] & h[1]) ^ (h[0] & h[2]) ^ (h[1] & h[2]);
        Word t1 = h[7] + apply("sum1", h[4]) + choice + constant(kShaConstants[t]) + w[t];
        Word t2 = apply("sum0", h[0]) + majority;
        h = {t1 + t2, h[0], h[1], h[2], h[3] + t1, h[4], h[5], h[6]};
    }
    for (size_t i = 0; i < 8; i++) h[i] += start[i];
    return h;
}

// The digests are those of the standard's examples.
TEST(SecureHash, Sha256OfAbcIsTheStandardsExample) {
    Calculator calculate;
    auto digest = digest_of_abc<uint32_t, 64>(
        [&](const std::string& name, uint32_t word) { return calculate.word("sha256" + name + " a0, a1", word); });
    EXPECT_EQ(digest, (std::array<uint32_t, 8>{0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c,
                                               0xb410ff61, 0xf20015ad}));
}

TEST(SecureHash, Sha512OfAbcIsTheStandardsExample) {
    Calculator calculate;
    auto digest = digest_of_abc<uint64_t, 80>(
        [&](const std::string& name, uint64_t word) { return calculate("sha512" + name + " a0, a1", word); });
    EXPECT_EQ(digest, (std::array<uint64_t, 8>{0xddaf35a193617aba, 0xcc417349ae204131, 0x12e6fa4e89a97ea2,
                                               0x0a9eeee64b55d39a, 0x2192992a274fc1a8, 0x36ba3c23a3feebbd,
                                               0x454d4423643ce80e, 0x2a9ac94fa54ca49f}));
}

// GB/T 32905-2016, appendix A.1.
TEST(SecureHash, Sm3OfAbcIsTheStandardsExample) {
    Calculator calculate;
    std::array<uint32_t, 68> w{0x61626380};
    w[15] = 24;
    for (size_t j = 16; j < 68; j++) {
        uint32_t mixed = calculate.word("sm3p1 a0, a1", w[j - 16] ^ w[j - 9] ^ std::rotl(w[j - 3], 15));
        w[j] = mixed ^ std::rotl(w[j - 13], 7) ^ w[j - 6];
    }
    constexpr std::array<uint32_t, 8> kStart = {0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600,
                                                0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e};
    auto v = kStart;
    for (size_t j = 0; j < 64; j++) {
        uint32_t constant = j < 16 ? 0x79cc4519 : 0x7a879d8a;
        uint32_t ss1 = std::rotl(std::rotl(v[0], 12) + v[4] + std::rotl(constant, static_cast<int>(j % 32)), 7);
        uint32_t ss2 = ss1 ^ std::rotl(v[0], 12);
        uint32_t ff = j < 16 ? v[0] ^ v[1] ^ v[2] : (v[0] & v[1]) | (v[0] & v[2]) | (v[1] & v[2]);
        uint32_t gg = j < 16 ? v[4] ^ v[5] ^ v[6] : (v[4] & v[5]) | (~v[4] & v[6]);
        uint32_t tt1 = ff + v[3] + ss2 + (w[j] ^ w[j + 4]), tt2 = gg + v[7] + ss1 + w[j];
        v = {tt1, v[0], std::rotl(v[1], 9), v[2], calculate.word("sm3p0 a0, a1", tt2), v[4], std::rotl(v[5], 19), v[6]};
    }
    for (size_t i = 0; i < 8; i++) v[i] ^= kStart[i];
    EXPECT_EQ(v, (std::array<uint32_t, 8>{0x66c7f0f4, 0x62eeedd9, 0xd1f2d46b, 0xdc10e4e2, 0x4167c487, 0x5cf2f7a2,
                                          0x297da02b, 0x8f4ba8e0}));
}

struct State {
    uint64_t low, high;
    bool operator==(const State&) const = default;
};
State operator^(State a, State b) {
    return {a.low ^ b.low, a.high ^ b.high};
}
State both(Calculator& calculate, const std::string& mnemonic, State s) {
    std::string line = mnemonic + " a0, a1, a2";
    return {calculate(line, s.low, s.high), calculate(line, s.high, s.low)};
}

// FIPS 197, C.1 and C.3, the key 00 01 02 ..., all by instructions.
class Aes : public ::testing::Test {
  protected:
    static constexpr State kPlain = {0x7766554433221100, 0xffeeddccbbaa9988};
    static constexpr State kKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908},
                           kSecondKey = {0x1716151413121110, 0x1f1e1d1c1b1a1918};

    State next_key(State before, uint64_t last_word_of, unsigned round) {
        uint64_t word = calculate("aes64ks1i a0, a1, " + std::to_string(round), last_word_of);
        uint64_t low = calculate("aes64ks2 a0, a1, a2", word, before.low);
        return {low, calculate("aes64ks2 a0, a1, a2", low, before.high)};
    }
    State encrypted(const std::vector<State>& keys) {
        State s = kPlain ^ keys[0];
        for (size_t i = 1; i + 1 < keys.size(); i++) s = both(calculate, "aes64esm", s) ^ keys[i];
        return both(calculate, "aes64es", s) ^ keys.back();
    }
    State decrypted(State s, const std::vector<State>& keys) {
        s = s ^ keys.back();
        for (size_t i = keys.size() - 2; i > 0; i--) {
            State key = {calculate("aes64im a0, a1", keys[i].low), calculate("aes64im a0, a1", keys[i].high)};
            s = both(calculate, "aes64dsm", s) ^ key;
        }
        return both(calculate, "aes64ds", s) ^ keys[0];
    }
    Calculator calculate;
};

TEST_F(Aes, With128BitsIsTheStandardsExample) {
    constexpr State kCipher = {0x30047b6ad8e0c469, 0x5ac5b47080b7cdd8};
    std::vector<State> keys = {kKey};
    for (unsigned round = 0; round < 10; round++) keys.push_back(next_key(keys.back(), keys.back().high, round));
    EXPECT_EQ(encrypted(keys), kCipher);
    EXPECT_EQ(decrypted(kCipher, keys), kPlain);
}

TEST_F(Aes, With256BitsIsTheStandardsExample) {
    constexpr State kCipher = {0xbf456751cab7a28e, 0x8960494b9049fcea};
    std::vector<State> keys = {kKey, kSecondKey};
    for (unsigned round = 0; keys.size() < 15; round++) {
        keys.push_back(next_key(keys[keys.size() - 2], keys.back().high, round));
        if (keys.size() < 15) keys.push_back(next_key(keys[keys.size() - 2], keys.back().high, 10));
    }
    EXPECT_EQ(encrypted(keys), kCipher);
    EXPECT_EQ(decrypted(kCipher, keys), kPlain);
}

TEST_F(Aes, RoundNumbersAboveTenAreIllegal) {
    ProgramMachine machine;
    for (unsigned number = 0; number < 16; number++) {
        uint32_t bits = 0x31059513 | number << 20;  // aes64ks1i a0, a1, number
        Trap trap = machine.run_bits(bits);
        EXPECT_EQ(trap, number <= 10 ? machine.ebreak() : Trap(ProgramMachine::illegal(ProgramMachine::kCode, bits)))
            << number;
    }
}

// GB/T 32907-2016, appendix A.1: the first round key, and the first round.
TEST(Sm4, RoundsAreThoseOfTheStandardsExample) {
    Calculator calculate;
    auto transformed = [&](const std::string& mnemonic, uint32_t start, uint32_t word) {
        for (unsigned byte = 0; byte < 4; byte++)
            start = calculate.word(mnemonic + " a0, a1, a2, " + std::to_string(byte), start, word);
        return start;
    };
    auto swapped = [](uint32_t word) { return __builtin_bswap32(word); };
    constexpr uint32_t kText[] = {0x01234567, 0x89abcdef, 0xfedcba98, 0x76543210};
    constexpr uint32_t kSystem[] = {0xa3b1bac6, 0x56aa3350, 0x677d9197, 0xb27022dc};
    uint32_t k[4];
    for (unsigned i = 0; i < 4; i++) k[i] = swapped(kText[i] ^ kSystem[i]);
    uint32_t key = transformed("sm4ks", k[0], k[1] ^ k[2] ^ k[3] ^ swapped(0x00070e15));
    EXPECT_EQ(swapped(key), 0xf12186f9u);
    uint32_t mixed = swapped(kText[1] ^ kText[2] ^ kText[3]) ^ key;
    EXPECT_EQ(swapped(transformed("sm4ed", swapped(kText[0]), mixed)), 0x27fad345u);
}

TEST(Seed, GivesSixteenBitsOrSaysThatTheSourceIsDead) {
    ProgramMachine machine;
    machine.time.next_entropy = 0xbeef;
    machine.execute({"csrrw a0, seed, zero"});
    EXPECT_EQ(machine.x("a0"), 0x8000beefu);
    machine.time.next_entropy = std::nullopt;
    machine.execute({"csrrw a0, seed, zero"});
    EXPECT_EQ(machine.x("a0"), 0xc0000000u);
}

TEST(Seed, IsReadByInstructionsThatWriteOnly) {
    ProgramMachine machine;
    machine.x("a1") = 0;
    for (const char* line : {"csrrw a0, seed, a1", "csrrs a0, seed, a1", "csrrc a0, seed, a1", "csrrwi a0, seed, 0",
                             "csrrsi a0, seed, 1", "csrrci a0, seed, 1"}) {
        machine.time.next_entropy = 0x1234;
        machine.execute({line});
        EXPECT_EQ(machine.x("a0"), 0x80001234u) << line;
    }
    for (const char* line :
         {"csrrs a0, seed, zero", "csrrc a0, seed, zero", "csrrsi a0, seed, 0", "csrrci a0, seed, 0"}) {
        Trap trap = machine.run({line});
        EXPECT_EQ(trap, ProgramMachine::illegal(ProgramMachine::kCode, ProgramMachine::assemble(line))) << line;
    }
}

}  // namespace
}  // namespace doppel::cpu::interpret
