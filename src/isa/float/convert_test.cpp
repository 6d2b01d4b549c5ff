#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <type_traits>

#include "isa/float/float.h"
#include "isa/float/float_expectation.h"

namespace doppel::isa::fp {
namespace {

using namespace expectation;

template <class Integer>
void expect_to(double value, const InEachMode& expected) {
    uint64_t a = std::bit_cast<uint64_t>(value);
    using Unsigned = std::make_unsigned_t<Integer>;
    auto operation = [&](Rounding rounding, Flags& flags) {
        return static_cast<Unsigned>(to_integer<Integer, Binary64>(a, rounding, flags));
    };
    expect(operation, expected);
}
template <class Integer>
Result value_of(Integer integer, Flags flags = kNone) {
    return {static_cast<std::make_unsigned_t<Integer>>(integer), flags};
}

TEST(FloatToInteger, RoundsFractionsByMode) {
    auto modes = [](int32_t rne, int32_t rtz, int32_t rdn, int32_t rup, int32_t rmm) {
        return InEachMode{value_of(rne, kInexact), value_of(rtz, kInexact), value_of(rdn, kInexact),
                          value_of(rup, kInexact), value_of(rmm, kInexact)};
    };
    expect_to<int32_t>(0.5, modes(0, 0, 0, 1, 1));
    expect_to<int32_t>(1.5, modes(2, 1, 1, 2, 2));
    expect_to<int32_t>(2.5, modes(2, 2, 2, 3, 3));
    expect_to<int32_t>(-0.5, modes(0, 0, -1, 0, -1));
    expect_to<int32_t>(-2.5, modes(-2, -2, -3, -2, -3));
    expect_to<int32_t>(0.25, modes(0, 0, 0, 1, 0));
    expect_to<int32_t>(-0x1p-1074, modes(0, 0, -1, 0, 0));
    expect_to<int32_t>(-0.0, always(value_of(0)));
    expect_to<int32_t>(-7.0, always(value_of(-7)));
}

template <class Integer>
void expect_limits(double lowest, double highest) {
    using Limits = std::numeric_limits<Integer>;
    Result too_low = value_of(Limits::min(), kInvalid);
    Result too_high = value_of(Limits::max(), kInvalid);
    expect_to<Integer>(lowest, always(value_of(Limits::min())));
    expect_to<Integer>(highest, always(value_of(static_cast<Integer>(highest))));
    expect_to<Integer>(-std::numeric_limits<double>::infinity(), always(too_low));
    expect_to<Integer>(std::numeric_limits<double>::infinity(), always(too_high));
    expect_to<Integer>(std::numeric_limits<double>::quiet_NaN(), always(too_high));
    expect_to<Integer>(-std::numeric_limits<double>::quiet_NaN(), always(too_high));
    expect_to<Integer>(std::numeric_limits<double>::signaling_NaN(), always(too_high));
    expect_to<Integer>(1e300, always(too_high));
    expect_to<Integer>(-1e300, always(too_low));
}

TEST(FloatToInteger, SaturatesAtEachLimit) {
    expect_limits<int32_t>(-0x1p31, 0x1p31 - 1);
    expect_limits<uint32_t>(0, 0x1p32 - 1);
    expect_limits<int64_t>(-0x1p63, 0x1p63 - 1024);
    expect_limits<uint64_t>(0, 0x1p64 - 2048);
    expect_to<int32_t>(0x1p31, always(value_of(INT32_MAX, kInvalid)));
    expect_to<int32_t>(-0x1p31 - 1, always(value_of(INT32_MIN, kInvalid)));
    expect_to<uint32_t>(0x1p32, always(value_of(UINT32_MAX, kInvalid)));
    expect_to<uint32_t>(-1, always(value_of(0u, kInvalid)));
    expect_to<int64_t>(0x1p63, always(value_of(INT64_MAX, kInvalid)));
    expect_to<int64_t>(-0x1p63 - 2048, always(value_of(INT64_MIN, kInvalid)));
    expect_to<uint64_t>(0x1p64, always(value_of(UINT64_MAX, kInvalid)));
    expect_to<uint64_t>(0x1p65, always(value_of(UINT64_MAX, kInvalid)));
}

TEST(FloatToInteger, JudgesTheLimitAfterRounding) {
    Result high = value_of(INT32_MAX, kInexact);
    Result too_high = value_of(INT32_MAX, kInvalid);
    expect_to<int32_t>(0x1p31 - 0.5, {too_high, high, high, too_high, too_high});
    expect_to<int32_t>(0x1p31 - 0.75, {high, high, high, too_high, high});
    Result low = value_of(INT32_MIN, kInexact);
    Result too_low = value_of(INT32_MIN, kInvalid);
    expect_to<int32_t>(-0x1p31 - 0.5, {low, low, too_low, low, too_low});
    Result zero = value_of(0u, kInexact);
    Result negative = value_of(0u, kInvalid);
    expect_to<uint32_t>(-0.5, {zero, zero, negative, zero, negative});
    expect_to<uint32_t>(-0.75, {negative, zero, negative, zero, negative});
    expect_to<uint64_t>(
        -0.25, {value_of(uint64_t{0}, kInexact), value_of(uint64_t{0}, kInexact), value_of(uint64_t{0}, kInvalid),
                value_of(uint64_t{0}, kInexact), value_of(uint64_t{0}, kInexact)});
}

template <class F, class Integer>
void expect_from(Integer value, const InEachMode& expected) {
    expect([&](Rounding rounding, Flags& flags) { return from_integer<F>(value, rounding, flags); }, expected);
}

TEST(FloatFromInteger, RoundsWhatDoesNotFit) {
    expect_from<Binary32>(int32_t{0}, always({0, kNone}));
    expect_from<Binary32>(int32_t{-1}, always({f32(-1), kNone}));
    expect_from<Binary32>(INT32_MIN, always({f32(-0x1p31f), kNone}));
    expect_from<Binary64>(UINT32_MAX, always({f64(0x1p32 - 1), kNone}));
    expect_from<Binary64>(INT64_MIN, always({f64(-0x1p63), kNone}));
    uint32_t below = f32(0x1p32f) - 1;
    uint32_t above = f32(0x1p32f);
    expect_from<Binary32>(
        UINT32_MAX, {{above, kInexact}, {below, kInexact}, {below, kInexact}, {above, kInexact}, {above, kInexact}});
    uint64_t wide_above = f64(0x1p64);
    expect_from<Binary64>(UINT64_MAX, {{wide_above, kInexact},
                                       {wide_above - 1, kInexact},
                                       {wide_above - 1, kInexact},
                                       {wide_above, kInexact},
                                       {wide_above, kInexact}});
    // 2^24 + 1 and its negative are ties.
    uint32_t even = f32(0x1p24f);
    expect_from<Binary32>(
        int64_t{(1 << 24) + 1},
        {{even, kInexact}, {even, kInexact}, {even, kInexact}, {even + 1, kInexact}, {even + 1, kInexact}});
    uint32_t minus = even | kMinus32;
    expect_from<Binary32>(
        int64_t{-(1 << 24) - 1},
        {{minus, kInexact}, {minus, kInexact}, {minus + 1, kInexact}, {minus, kInexact}, {minus + 1, kInexact}});
}

void expect_narrow(uint64_t a, const InEachMode& expected) {
    expect([&](Rounding rounding, Flags& flags) { return convert<Binary32, Binary64>(a, rounding, flags); }, expected);
}

void expect_widen(uint32_t a, Result expected) {
    expect([&](Rounding rounding, Flags& flags) { return convert<Binary64, Binary32>(a, rounding, flags); },
           always(expected));
}

TEST(FloatConvert, NarrowsWithOverflowAndUnderflow) {
    expect_narrow(kMax64, {{kInf32, kOf}, {kMax32, kOf}, {kMax32, kOf}, {kInf32, kOf}, {kInf32, kOf}});
    expect_narrow(f64(-0x1p-150),
                  {{kMinus32, kUf}, {kMinus32, kUf}, {kMinus32 | 1, kUf}, {kMinus32, kUf}, {kMinus32 | 1, kUf}});
    expect_narrow(1, {{0, kUf}, {0, kUf}, {0, kUf}, {1, kUf}, {0, kUf}});
    // Just below the smallest normal number: within and beyond what full precision would round up to it.
    uint32_t min_normal = Binary32::kMinNormal;
    expect_narrow(f64(0x1p-126) - 1, {{min_normal, kInexact},
                                      {min_normal - 1, kUf},
                                      {min_normal - 1, kUf},
                                      {min_normal, kInexact},
                                      {min_normal, kInexact}});
    expect_narrow(
        f64(0x1p-126 - 0x1p-150),
        {{min_normal, kUf}, {min_normal - 1, kUf}, {min_normal - 1, kUf}, {min_normal, kUf}, {min_normal, kUf}});
    expect_narrow(f64(0x1p-126 - 0x1p-151), {{min_normal, kInexact},
                                             {min_normal - 1, kUf},
                                             {min_normal - 1, kUf},
                                             {min_normal, kInexact},
                                             {min_normal, kInexact}});
    expect_narrow(kSignaling64, always({kNan32, kInvalid}));
    expect_narrow(kNan64 | kMinus64 | 3, always({kNan32, kNone}));
    expect_narrow(kInf64 | kMinus64, always({kInf32 | kMinus32, kNone}));
    expect_narrow(kMinus64, always({kMinus32, kNone}));
}

TEST(FloatConvert, WidensExactly) {
    expect_widen(1, {f64(0x1p-149), kNone});
    expect_widen(kMax32 | kMinus32, {f64(-0x1.fffffep127), kNone});
    expect_widen(kMinus32, {kMinus64, kNone});
    expect_widen(kInf32, {kInf64, kNone});
    expect_widen(kNan32 | 77, {kNan64, kNone});
    expect_widen(kSignaling32, {kNan64, kInvalid});
}

}  // namespace
}  // namespace doppel::isa::fp
