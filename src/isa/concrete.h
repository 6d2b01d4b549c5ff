// Concrete<N>: a value of N bits as definitions see it when they are executed rather than translated.
//
// Instruction definitions are templates over an evaluator, and through it over the type of values. Interpreting
// evaluates them over Concrete<N>, which is an unsigned integer with these operations and nothing else; translating
// evaluates the same text over IR values that offer the same ones. There are no implicit conversions: widths change by
// trunc, zext and sext, and signedness is part of the operation's name. Shift and rotate amounts are taken modulo the
// width.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace doppel::isa {

namespace detail {
template <unsigned N>
struct Storage;
template <>
struct Storage<1> {
    using Unsigned = bool;
    using Signed = bool;
};
template <>
struct Storage<8> {
    using Unsigned = uint8_t;
    using Signed = int8_t;
};
template <>
struct Storage<16> {
    using Unsigned = uint16_t;
    using Signed = int16_t;
};
template <>
struct Storage<32> {
    using Unsigned = uint32_t;
    using Signed = int32_t;
};
template <>
struct Storage<64> {
    using Unsigned = uint64_t;
    using Signed = int64_t;
};
}  // namespace detail

template <unsigned N>
struct Concrete {
    using U = typename detail::Storage<N>::Unsigned;
    using S = typename detail::Storage<N>::Signed;
    U bits{};

    constexpr Concrete() = default;
    constexpr explicit Concrete(U value) : bits(value) {}
    constexpr S as_signed() const { return static_cast<S>(bits); }

    friend constexpr Concrete operator+(Concrete a, Concrete b) { return make(a.bits + b.bits); }
    friend constexpr Concrete operator-(Concrete a, Concrete b) { return make(a.bits - b.bits); }
    friend constexpr Concrete operator*(Concrete a, Concrete b) { return make(uint64_t{a.bits} * b.bits); }
    friend constexpr Concrete operator&(Concrete a, Concrete b) { return make(a.bits & b.bits); }
    friend constexpr Concrete operator|(Concrete a, Concrete b) { return make(a.bits | b.bits); }
    friend constexpr Concrete operator^(Concrete a, Concrete b) { return make(a.bits ^ b.bits); }
    friend constexpr Concrete operator~(Concrete a) {
        if constexpr (N == 1) {
            return Concrete(!a.bits);
        } else {
            return make(~a.bits);
        }
    }

    friend constexpr Concrete shl(Concrete a, Concrete by) { return make(uint64_t{a.bits} << (by.bits & (N - 1))); }
    friend constexpr Concrete shr(Concrete a, Concrete by) { return make(a.bits >> (by.bits & (N - 1))); }
    friend constexpr Concrete sar(Concrete a, Concrete by) {
        return make(static_cast<uint64_t>(static_cast<int64_t>(a.as_signed()) >> (by.bits & (N - 1))));
    }
    friend constexpr Concrete rotl(Concrete a, Concrete by) {
        return make(std::rotl(a.bits, static_cast<int>(by.bits & (N - 1))));
    }
    friend constexpr Concrete rotr(Concrete a, Concrete by) {
        return make(std::rotr(a.bits, static_cast<int>(by.bits & (N - 1))));
    }

    friend constexpr Concrete<1> eq(Concrete a, Concrete b) { return Concrete<1>(a.bits == b.bits); }
    friend constexpr Concrete<1> ne(Concrete a, Concrete b) { return Concrete<1>(a.bits != b.bits); }
    friend constexpr Concrete<1> ult(Concrete a, Concrete b) { return Concrete<1>(a.bits < b.bits); }
    friend constexpr Concrete<1> slt(Concrete a, Concrete b) { return Concrete<1>(a.as_signed() < b.as_signed()); }

    friend constexpr Concrete select(Concrete<1> condition, Concrete a, Concrete b) { return condition.bits ? a : b; }

    // Zero input gives N.
    friend constexpr Concrete count_leading_zeros(Concrete a) {
        return make(static_cast<unsigned>(std::countl_zero(a.bits)));
    }
    friend constexpr Concrete count_trailing_zeros(Concrete a) {
        return make(static_cast<unsigned>(std::countr_zero(a.bits)));
    }
    friend constexpr Concrete count_ones(Concrete a) { return make(static_cast<unsigned>(std::popcount(a.bits))); }
    friend constexpr Concrete byte_reverse(Concrete a) {
        if constexpr (N == 64) return make(__builtin_bswap64(a.bits));
        if constexpr (N == 32) return make(__builtin_bswap32(a.bits));
        return a;
    }

    // The upper half of the double-width product.
    friend constexpr Concrete mul_high_unsigned(Concrete a, Concrete b) {
        return make(static_cast<uint64_t>((static_cast<unsigned __int128>(a.bits) * b.bits) >> N));
    }
    friend constexpr Concrete mul_high_signed(Concrete a, Concrete b) {
        return make(static_cast<uint64_t>((static_cast<__int128>(a.as_signed()) * b.as_signed()) >> N));
    }
    friend constexpr Concrete mul_high_signed_unsigned(Concrete a, Concrete b) {
        return make(static_cast<uint64_t>((static_cast<__int128>(a.as_signed()) * static_cast<__int128>(b.bits)) >> N));
    }
    // Total functions: dividing by zero gives all ones, its remainder is the dividend; the signed overflow gives the
    // dividend and 0.
    friend constexpr Concrete udiv(Concrete a, Concrete b) { return b.bits == 0 ? make(~U{0}) : make(a.bits / b.bits); }
    friend constexpr Concrete urem(Concrete a, Concrete b) { return b.bits == 0 ? a : make(a.bits % b.bits); }
    friend constexpr Concrete sdiv(Concrete a, Concrete b) {
        if (b.bits == 0) return make(~U{0});
        if (b.as_signed() == -1) return make(U{0} - a.bits);
        return make(static_cast<uint64_t>(a.as_signed() / b.as_signed()));
    }
    friend constexpr Concrete srem(Concrete a, Concrete b) {
        if (b.bits == 0) return a;
        if (b.as_signed() == -1) return make(0);
        return make(static_cast<uint64_t>(a.as_signed() % b.as_signed()));
    }

  private:
    static constexpr Concrete make(uint64_t value) { return Concrete(static_cast<U>(value)); }
};

template <unsigned M, unsigned N>
constexpr Concrete<M> trunc(Concrete<N> a) {
    static_assert(M < N);
    if constexpr (M == 1) return Concrete<1>((a.bits & 1) != 0);
    return Concrete<M>(static_cast<typename Concrete<M>::U>(a.bits));
}
template <unsigned M, unsigned N>
constexpr Concrete<M> zext(Concrete<N> a) {
    static_assert(M >= N);
    return Concrete<M>(static_cast<typename Concrete<M>::U>(a.bits));
}
template <unsigned M, unsigned N>
constexpr Concrete<M> sext(Concrete<N> a) {
    static_assert(M >= N && N > 1);
    return Concrete<M>(static_cast<typename Concrete<M>::U>(static_cast<typename Concrete<M>::S>(a.as_signed())));
}

}  // namespace doppel::isa
