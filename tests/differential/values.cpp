#include "values.h"

#include <cstring>

#include "isa/float/format.h"

namespace doppel::differential {

namespace {

constexpr unsigned kRoundingModes = 5;

constexpr uint64_t kIntegers[] = {0,
                                  1,
                                  2,
                                  3,
                                  0x7f,
                                  0x80,
                                  0xff,
                                  0x7fff,
                                  0x8000,
                                  0xffff,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  0x100000000,
                                  0x7fffffffffffffff,
                                  0x8000000000000000,
                                  0x8000000000000001,
                                  0xffffffff80000000,
                                  0xffffffff7fffffff,
                                  0xffffffffffffff80,
                                  0xfffffffffffffffe,
                                  0xffffffffffffffff,
                                  0x00ff00ff00ff00ff,
                                  0x0123456789abcdef};

// One of the values around which a format's special cases lie, sometimes a few units in the last place off.
template <class F>
typename F::Bits special(Random& random) {
    using Bits = typename F::Bits;
    constexpr Bits kOne = Bits{F::kBias} << F::kFractionBits;
    constexpr Bits kExponentStep = F::kMinNormal;
    // Powers of two where conversions to integers saturate or lose bits.
    constexpr auto power = [](int n) { return static_cast<Bits>(kOne + static_cast<Bits>(n) * kExponentStep); };
    constexpr Bits kValues[] = {0,
                                1,
                                F::kFraction,
                                F::kMinNormal,
                                kOne,
                                static_cast<Bits>(kOne - kExponentStep),
                                static_cast<Bits>(kOne + kExponentStep / 2),
                                F::kMaxFinite,
                                F::kInfinity,
                                F::kInfinity + 1,
                                F::kCanonicalNan,
                                F::kCanonicalNan + 1,
                                power(31),
                                power(32),
                                power(63),
                                power(64),
                                power(F::kFractionBits),
                                power(F::kFractionBits + 1),
                                static_cast<Bits>(F::kMinNormal + kExponentStep * F::kFractionBits)};
    Bits value = random.pick<Bits>(kValues);
    if (random.one_in(4)) value += static_cast<Bits>(random.between(-2, 2));
    if (random.one_in(2)) value ^= F::kSign;
    return value;
}

// A random fraction with an exponent near that of 1, so that sums cancel and products stay finite.
template <class F>
typename F::Bits ordinary(Random& random) {
    using Bits = typename F::Bits;
    Bits exponent = static_cast<Bits>(F::kBias + random.between(-40, 40));
    Bits fraction = static_cast<Bits>(random.next()) & F::kFraction;
    // Few significant bits make exact results and ties likely.
    if (random.one_in(3)) fraction &= static_cast<Bits>(~(F::kFraction >> random.below(6)));
    return (random.one_in(2) ? F::kSign : Bits{0}) | exponent << F::kFractionBits | fraction;
}

template <class F>
typename F::Bits any(Random& random) {
    switch (random.below(4)) {
        case 0:
            return static_cast<typename F::Bits>(random.next());
        case 1:
            return ordinary<F>(random);
        default:
            return special<F>(random);
    }
}

}  // namespace

uint64_t integer_value(Random& random) {
    switch (random.below(8)) {
        case 0:
            return random.next();
        case 1:
            return random.next() >> random.below(64);
        case 2:
            return static_cast<uint64_t>(random.between(-256, 256));
        case 3:
            return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(random.bits32())));
        case 4:
            return uint64_t{1} << random.below(64);
        default:
            return random.pick<uint64_t>(kIntegers) +
                   (random.one_in(4) ? static_cast<uint64_t>(random.between(-2, 2)) : 0);
    }
}

uint64_t float_value(Random& random) {
    constexpr uint64_t kBox = 0xffff'ffff'0000'0000;
    switch (random.below(9)) {
        case 0:
            return random.next() << 32 | any<isa::fp::Binary32>(random);
        case 1:
        case 2:
        case 3:
        case 4:
            return kBox | any<isa::fp::Binary32>(random);
        default:
            return any<isa::fp::Binary64>(random);
    }
}

State input_state(Random& random, unsigned vector_bits) {
    State state;
    for (size_t i = 0; i < state.scratch.size(); i += 8) {
        uint64_t value = random.one_in(2) ? float_value(random) : integer_value(random);
        for (size_t k = 0; k < 8; k++) state.scratch[i + k] = static_cast<uint8_t>(value >> (8 * k));
    }
    for (size_t i = 1; i < state.x.size(); i++) state.x[i] = i == 2 ? 0 : integer_value(random);
    for (uint64_t& value : state.f) value = float_value(random);
    // Flags mostly start clear, so that their setting shows.
    state.fcsr = random.below(kRoundingModes) << 5 | (random.one_in(4) ? random.below(32) : 0);
    // Elements of all widths that are special to someone.
    for (size_t i = 0; i < size_t{32} * vector_bits / 8; i += 8) {
        uint64_t value = random.one_in(2) ? float_value(random) : integer_value(random);
        if (random.one_in(4)) value = float_value(random) << 32 | (float_value(random) & 0xffffffff);
        std::memcpy(&state.v[i], &value, sizeof value);
    }
    if (vector_bits != 0) state.vcsr = random.below(8);
    return state;
}

}  // namespace doppel::differential
