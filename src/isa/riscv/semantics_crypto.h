// Zbc, Zbkb, Zbkx, Zkne, Zknd, Zknh, Zksed, Zksh. What Zbkb and Zbkc share with Zbb and Zbc is defined there.
// Source: RISC-V unprivileged manual, chapters "B" and "Cryptography Extensions: Scalar & Entropy Source Instructions".
//
// Zkt is not claimed: helpers look in tables, and what the host does for an operation may take a time that depends on
// its data.
#pragma once

#include "isa/crypto/aes.h"
#include "isa/crypto/carry_less.h"
#include "isa/crypto/crossbar.h"
#include "isa/crypto/sm4.h"
#include "isa/riscv/operands.h"
#include "isa/riscv/semantics_integer.h"

namespace doppel::isa::riscv::semantics {

#define DEFINE(name)   \
    template <class E> \
    inline void name([[maybe_unused]] E& e, [[maybe_unused]] const Operands& o)

template <auto Function, class E>
auto of_both(E& e, const Operands& o) {
    return e.template pure<Function>(e.x(o.rs1), e.x(o.rs2));
}
template <class E>
auto upper_word(E& e, unsigned n) {
    return trunc<32>(shr(e.x(n), e.template constant<64>(32)));
}
template <class E, class Word32>
void set_words(E& e, unsigned n, Word32 low, Word32 high) {
    e.set_x(n, zext<64>(low) | shl(zext<64>(high), e.template constant<64>(32)));
}
template <unsigned N, class E>
auto rotated(E& e, typename E::template Word<N> value, unsigned by) {
    return rotr(value, e.template constant<N>(by));
}
template <unsigned N, class E>
auto shifted_right(E& e, typename E::template Word<N> value, unsigned by) {
    return shr(value, e.template constant<N>(by));
}
// FIPS 180-4, 4.1: the sums rotate by three amounts, the sigmas by two and shift by a third.
template <unsigned N, class E>
auto sha_sum(E& e, typename E::template Word<N> v, unsigned a, unsigned b, unsigned c) {
    return rotated<N>(e, v, a) ^ rotated<N>(e, v, b) ^ rotated<N>(e, v, c);
}
template <unsigned N, class E>
auto sha_sigma(E& e, typename E::template Word<N> v, unsigned a, unsigned b, unsigned shift) {
    return rotated<N>(e, v, a) ^ rotated<N>(e, v, b) ^ shifted_right<N>(e, v, shift);
}
// GB/T 32905-2016 (SM3), 4.4.
template <class E>
auto sm3_permutation(E& e, typename E::template Word<32> v, unsigned a, unsigned b) {
    return v ^ rotated<32>(e, v, 32 - a) ^ rotated<32>(e, v, 32 - b);
}
// Groups of `by` bits change places with their neighbours; `mask` has the lower one of each pair.
template <class E>
auto swap_groups(E& e, typename E::template Word<64> v, unsigned by, uint64_t mask) {
    auto lower = e.template constant<64>(mask), amount = e.template constant<64>(by);
    return (shr(v, amount) & lower) | shl(v & lower, amount);
}
template <auto Round, class E>
void sm4_step(E& e, const Operands& o) {
    unsigned bits_before = 8 * static_cast<unsigned>(o.imm);
    auto byte = trunc<8>(shr(e.x(o.rs2), e.template constant<64>(bits_before)));
    auto added = rotl(e.template pure<Round>(byte), e.template constant<32>(bits_before));
    set_x32(e, o.rd, x32(e, o.rs1) ^ added);
}

// clang-format off
DEFINE(clmul)  { e.set_x(o.rd, of_both<&crypto::carry_less_low>(e, o)); }
DEFINE(clmulh) { e.set_x(o.rd, of_both<&crypto::carry_less_high>(e, o)); }
DEFINE(clmulr) { e.set_x(o.rd, of_both<&crypto::carry_less_reversed>(e, o)); }

DEFINE(pack)  { set_words(e, o.rd, x32(e, o.rs1), x32(e, o.rs2)); }
DEFINE(packh) {
    auto high = zext<64>(trunc<8>(e.x(o.rs2)));
    e.set_x(o.rd, zext<64>(trunc<8>(e.x(o.rs1))) | shl(high, e.template constant<64>(8)));
}
DEFINE(packw) {
    auto high = zext<32>(trunc<16>(e.x(o.rs2)));
    set_x32(e, o.rd, zext<32>(trunc<16>(e.x(o.rs1))) | shl(high, e.template constant<32>(16)));
}
DEFINE(brev8) {
    auto v = swap_groups(e, e.x(o.rs1), 1, 0x5555555555555555);
    v = swap_groups(e, v, 2, 0x3333333333333333);
    e.set_x(o.rd, swap_groups(e, v, 4, 0x0f0f0f0f0f0f0f0f));
}
DEFINE(xperm4) { e.set_x(o.rd, of_both<&crypto::crossbar<4>>(e, o)); }
DEFINE(xperm8) { e.set_x(o.rd, of_both<&crypto::crossbar<8>>(e, o)); }

DEFINE(aes64es)  { e.set_x(o.rd, of_both<&crypto::aes_encrypt_last>(e, o)); }
DEFINE(aes64esm) { e.set_x(o.rd, of_both<&crypto::aes_encrypt>(e, o)); }
DEFINE(aes64ds)  { e.set_x(o.rd, of_both<&crypto::aes_decrypt_last>(e, o)); }
DEFINE(aes64dsm) { e.set_x(o.rd, of_both<&crypto::aes_decrypt>(e, o)); }
DEFINE(aes64im)  { e.set_x(o.rd, e.template pure<&crypto::aes_inverse_mix_columns>(e.x(o.rs1))); }
DEFINE(aes64ks1i) {
    auto word = upper_word(e, o.rs1);
    // The number after the last round's means SubWord alone (the second of AES-256's two steps).
    unsigned number = static_cast<unsigned>(o.imm);
    if (number >= crypto::kAesRoundConstants) {
        word = e.template pure<&crypto::aes_substitute_word>(word);
    } else {
        word = e.template pure<&crypto::aes_substitute_word>(rotated<32>(e, word, 8)) ^
               e.template constant<32>(crypto::aes_round_constant(number));
    }
    set_words(e, o.rd, word, word);
}
DEFINE(aes64ks2) {
    auto first = upper_word(e, o.rs1) ^ x32(e, o.rs2);
    set_words(e, o.rd, first, first ^ upper_word(e, o.rs2));
}
DEFINE(aes64ks1i_reserved1) { e.illegal(); }
DEFINE(aes64ks1i_reserved2) { e.illegal(); }

DEFINE(sha256sum0) { set_x32(e, o.rd, sha_sum<32>(e, x32(e, o.rs1), 2, 13, 22)); }
DEFINE(sha256sum1) { set_x32(e, o.rd, sha_sum<32>(e, x32(e, o.rs1), 6, 11, 25)); }
DEFINE(sha256sig0) { set_x32(e, o.rd, sha_sigma<32>(e, x32(e, o.rs1), 7, 18, 3)); }
DEFINE(sha256sig1) { set_x32(e, o.rd, sha_sigma<32>(e, x32(e, o.rs1), 17, 19, 10)); }
DEFINE(sha512sum0) { e.set_x(o.rd, sha_sum<64>(e, e.x(o.rs1), 28, 34, 39)); }
DEFINE(sha512sum1) { e.set_x(o.rd, sha_sum<64>(e, e.x(o.rs1), 14, 18, 41)); }
DEFINE(sha512sig0) { e.set_x(o.rd, sha_sigma<64>(e, e.x(o.rs1), 1, 8, 7)); }
DEFINE(sha512sig1) { e.set_x(o.rd, sha_sigma<64>(e, e.x(o.rs1), 19, 61, 6)); }

DEFINE(sm3p0) { set_x32(e, o.rd, sm3_permutation(e, x32(e, o.rs1), 9, 17)); }
DEFINE(sm3p1) { set_x32(e, o.rd, sm3_permutation(e, x32(e, o.rs1), 15, 23)); }
DEFINE(sm4ed) { sm4_step<&crypto::sm4_round>(e, o); }
DEFINE(sm4ks) { sm4_step<&crypto::sm4_key_round>(e, o); }
// clang-format on

#undef DEFINE

}  // namespace doppel::isa::riscv::semantics
