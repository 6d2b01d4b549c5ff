#include "isa/float/float.h"

#include <gtest/gtest.h>

#include "isa/float/float_expectation.h"

namespace doppel::isa::fp {
namespace {

using namespace expectation;

template <class F>
void expect_add(typename F::Bits a, typename F::Bits b, const InEachMode& expected) {
    expect([&](Rounding rounding, Flags& flags) { return add<F>(a, b, rounding, flags); }, expected);
}
template <class F>
void expect_sub(typename F::Bits a, typename F::Bits b, const InEachMode& expected) {
    expect([&](Rounding rounding, Flags& flags) { return sub<F>(a, b, rounding, flags); }, expected);
}
template <class F>
void expect_mul(typename F::Bits a, typename F::Bits b, const InEachMode& expected) {
    expect([&](Rounding rounding, Flags& flags) { return mul<F>(a, b, rounding, flags); }, expected);
}
template <class F>
void expect_div(typename F::Bits a, typename F::Bits b, const InEachMode& expected) {
    expect([&](Rounding rounding, Flags& flags) { return div<F>(a, b, rounding, flags); }, expected);
}
template <class F>
void expect_sqrt(typename F::Bits a, const InEachMode& expected) {
    expect([&](Rounding rounding, Flags& flags) { return sqrt<F>(a, rounding, flags); }, expected);
}
template <class F>
void expect_fma(typename F::Bits a, typename F::Bits b, typename F::Bits c, const InEachMode& expected) {
    expect([&](Rounding rounding, Flags& flags) { return fma<F>(a, b, c, rounding, flags); }, expected);
}

TEST(FloatAdd, RoundsTiesByMode) {
    // 1 + 2^-24 lies halfway between 1 and its successor.
    uint32_t one = f32(1.0f);
    uint32_t half_unit = f32(0x1p-24f);
    expect_add<Binary32>(one, half_unit,
                         {{one, kInexact}, {one, kInexact}, {one, kInexact}, {one + 1, kInexact}, {one + 1, kInexact}});
    uint32_t minus_one = one | kMinus32;
    expect_sub<Binary32>(minus_one, half_unit,
                         {{minus_one, kInexact},
                          {minus_one, kInexact},
                          {minus_one + 1, kInexact},
                          {minus_one, kInexact},
                          {minus_one + 1, kInexact}});
    uint64_t wide_one = f64(1.0);
    expect_add<Binary64>(wide_one + 1, f64(0x1p-53),
                         {{wide_one + 2, kInexact},
                          {wide_one + 1, kInexact},
                          {wide_one + 1, kInexact},
                          {wide_one + 2, kInexact},
                          {wide_one + 2, kInexact}});
}

TEST(FloatAdd, SeesWhatLiesFarBelowTheRoundingPoint) {
    uint64_t one = f64(1.0);
    expect_add<Binary64>(one, 1,
                         {{one, kInexact}, {one, kInexact}, {one, kInexact}, {one + 1, kInexact}, {one, kInexact}});
    // 1 - 2^-1074: below 1, where numbers lie closer.
    expect_sub<Binary64>(one, 1,
                         {{one, kInexact}, {one - 1, kInexact}, {one - 1, kInexact}, {one, kInexact}, {one, kInexact}});
}

TEST(FloatAdd, OverflowsByMode) {
    expect_add<Binary32>(kMax32, kMax32, {{kInf32, kOf}, {kMax32, kOf}, {kMax32, kOf}, {kInf32, kOf}, {kInf32, kOf}});
    uint64_t low = kMax64 | kMinus64;
    uint64_t infinite = kInf64 | kMinus64;
    expect_add<Binary64>(low, low, {{infinite, kOf}, {low, kOf}, {infinite, kOf}, {low, kOf}, {infinite, kOf}});
    // Half a unit above the largest number: toward zero it is inexact, but no overflow.
    uint32_t half_unit = f32(0x1p103f);
    expect_add<Binary32>(kMax32, half_unit,
                         {{kInf32, kOf}, {kMax32, kInexact}, {kMax32, kInexact}, {kInf32, kOf}, {kInf32, kOf}});
    expect_add<Binary32>(
        kMax32, half_unit - 1,
        {{kMax32, kInexact}, {kMax32, kInexact}, {kMax32, kInexact}, {kInf32, kOf}, {kMax32, kInexact}});
}

TEST(FloatAdd, SignsAnExactZeroByMode) {
    InEachMode zero_sum{{0, kNone}, {0, kNone}, {kMinus64, kNone}, {0, kNone}, {0, kNone}};
    expect_sub<Binary64>(f64(1.5), f64(1.5), zero_sum);
    expect_add<Binary64>(0, kMinus64, zero_sum);
    expect_add<Binary64>(kMinus64, kMinus64, always({kMinus64, kNone}));
    expect_sub<Binary64>(kMinus64, 0, always({kMinus64, kNone}));
    expect_add<Binary64>(0, 0, always({0, kNone}));
}

TEST(FloatAdd, IsExactOnSubnormals) {
    expect_add<Binary32>(Binary32::kMinNormal - 1, 1, always({Binary32::kMinNormal, kNone}));
    expect_sub<Binary32>(Binary32::kMinNormal, 1, always({Binary32::kMinNormal - 1, kNone}));
    expect_sub<Binary64>(1, 2, always({kMinus64 | 1, kNone}));
}

TEST(FloatAdd, RefusesOppositeInfinities) {
    expect_sub<Binary32>(kInf32, kInf32, always({kNan32, kInvalid}));
    expect_add<Binary64>(kInf64, kInf64 | kMinus64, always({kNan64, kInvalid}));
    expect_add<Binary64>(kInf64, kMax64, always({kInf64, kNone}));
}

TEST(FloatNan, IsCanonicalAndOnlySignalsForSignalingOperands) {
    uint32_t payload = 0xffd1'2345;
    expect_add<Binary32>(payload, f32(1), always({kNan32, kNone}));
    expect_mul<Binary32>(f32(1), payload, always({kNan32, kNone}));
    expect_sqrt<Binary32>(payload, always({kNan32, kNone}));
    expect_add<Binary32>(kSignaling32, payload, always({kNan32, kInvalid}));
    expect_div<Binary32>(payload, kSignaling32, always({kNan32, kInvalid}));
    expect_sqrt<Binary64>(kSignaling64 | kMinus64, always({kNan64, kInvalid}));
    expect_fma<Binary64>(f64(1), f64(1), kSignaling64, always({kNan64, kInvalid}));
    expect_fma<Binary64>(kInf64, f64(1), 0xfff8'0000'0000'0007, always({kNan64, kNone}));
}

TEST(FloatMul, UnderflowsByWhatItIsAfterRounding) {
    // (1 - 2^-24) * 2^-126 is halfway between the largest subnormal and the smallest normal number, and exact at full
    // precision.
    uint32_t below_one = f32(1.0f) - 1;
    uint32_t min_normal = Binary32::kMinNormal;
    expect_mul<Binary32>(
        below_one, min_normal,
        {{min_normal, kUf}, {min_normal - 1, kUf}, {min_normal - 1, kUf}, {min_normal, kUf}, {min_normal, kUf}});
    // (1 + 2^-23) * (1 - 2^-23) * 2^-126: rounded to 24 bits the smallest normal number to nearest and upward, so not
    // tiny there.
    uint32_t above = min_normal + 1;
    uint32_t below = f32(1.0f) - 2;
    expect_mul<Binary32>(above, below,
                         {{min_normal, kInexact},
                          {min_normal - 1, kUf},
                          {min_normal - 1, kUf},
                          {min_normal, kInexact},
                          {min_normal, kInexact}});
}

TEST(FloatMul, UnderflowsToZeroOrTheSmallestSubnormal) {
    expect_mul<Binary64>(1, 1, {{0, kUf}, {0, kUf}, {0, kUf}, {1, kUf}, {0, kUf}});
    expect_mul<Binary64>(1 | kMinus64, 1,
                         {{kMinus64, kUf}, {kMinus64, kUf}, {kMinus64 | 1, kUf}, {kMinus64, kUf}, {kMinus64, kUf}});
    // Half of the smallest subnormal is a tie; one and a half of it another.
    expect_mul<Binary64>(1, f64(0.5), {{0, kUf}, {0, kUf}, {0, kUf}, {1, kUf}, {1, kUf}});
    expect_mul<Binary64>(3, f64(0.5), {{2, kUf}, {1, kUf}, {1, kUf}, {2, kUf}, {2, kUf}});
    expect_mul<Binary64>(5, f64(0.5), {{2, kUf}, {2, kUf}, {2, kUf}, {3, kUf}, {3, kUf}});
    // Tiny but exact: nothing is raised.
    expect_mul<Binary64>(4, f64(0.5), always({2, kNone}));
}

TEST(FloatMul, RefusesZeroTimesInfinity) {
    expect_mul<Binary32>(0, kInf32, always({kNan32, kInvalid}));
    expect_mul<Binary32>(kInf32 | kMinus32, kMinus32, always({kNan32, kInvalid}));
    expect_mul<Binary32>(kMinus32, f32(3), always({kMinus32, kNone}));
}

TEST(FloatDiv, RoundsAThird) {
    uint64_t low = 0x3fd5'5555'5555'5555;
    expect_div<Binary64>(f64(1), f64(3),
                         {{low, kInexact}, {low, kInexact}, {low, kInexact}, {low + 1, kInexact}, {low, kInexact}});
    expect_div<Binary64>(f64(1), f64(-3),
                         {{low | kMinus64, kInexact},
                          {low | kMinus64, kInexact},
                          {(low + 1) | kMinus64, kInexact},
                          {low | kMinus64, kInexact},
                          {low | kMinus64, kInexact}});
}

TEST(FloatDiv, HandlesZerosAndInfinities) {
    expect_div<Binary32>(f32(1), 0, always({kInf32, kDivideByZero}));
    expect_div<Binary32>(f32(1), kMinus32, always({kInf32 | kMinus32, kDivideByZero}));
    expect_div<Binary32>(kInf32, 0, always({kInf32, kNone}));
    expect_div<Binary32>(0, 0, always({kNan32, kInvalid}));
    expect_div<Binary32>(kInf32, kInf32, always({kNan32, kInvalid}));
    expect_div<Binary32>(f32(-1), kInf32, always({kMinus32, kNone}));
    expect_div<Binary32>(kNan32, 0, always({kNan32, kNone}));
}

TEST(FloatDiv, OverflowsAndUnderflows) {
    expect_div<Binary64>(kMax64, 1, {{kInf64, kOf}, {kMax64, kOf}, {kMax64, kOf}, {kInf64, kOf}, {kInf64, kOf}});
    expect_div<Binary64>(1, f64(2), {{0, kUf}, {0, kUf}, {0, kUf}, {1, kUf}, {1, kUf}});
    expect_div<Binary64>(1, f64(2.5), {{0, kUf}, {0, kUf}, {0, kUf}, {1, kUf}, {0, kUf}});
}

TEST(FloatSqrt, RoundsAndKeepsTheSignOfZero) {
    expect_sqrt<Binary64>(kMinus64, always({kMinus64, kNone}));
    expect_sqrt<Binary64>(0, always({0, kNone}));
    expect_sqrt<Binary64>(kInf64, always({kInf64, kNone}));
    expect_sqrt<Binary64>(f64(-1), always({kNan64, kInvalid}));
    expect_sqrt<Binary64>(kMinus64 | 1, always({kNan64, kInvalid}));
    expect_sqrt<Binary64>(kInf64 | kMinus64, always({kNan64, kInvalid}));
    expect_sqrt<Binary64>(f64(2.25), always({f64(1.5), kNone}));
    expect_sqrt<Binary64>(1, always({f64(0x1p-537), kNone}));
    expect_sqrt<Binary32>(1, {{0x1a35'04f3, kInexact},
                              {0x1a35'04f3, kInexact},
                              {0x1a35'04f3, kInexact},
                              {0x1a35'04f4, kInexact},
                              {0x1a35'04f3, kInexact}});
    uint64_t root_two = 0x3ff6'a09e'667f'3bcd;  // above the true root
    expect_sqrt<Binary64>(f64(2), {{root_two, kInexact},
                                   {root_two - 1, kInexact},
                                   {root_two - 1, kInexact},
                                   {root_two, kInexact},
                                   {root_two, kInexact}});
}

TEST(FloatFma, RoundsOnce) {
    // (1 + 2^-52)^2 = 1 + 2^-51 + 2^-104: minus its rounded value only the last term is left.
    uint64_t a = f64(1) + 1;
    expect_fma<Binary64>(a, a, f64(-1) + 2, always({f64(0x1p-104), kNone}));
    // The largest number squared is brought back into range by nothing.
    expect_fma<Binary64>(kMax64, kMax64, kMax64 | kMinus64,
                         {{kInf64, kOf}, {kMax64, kOf}, {kMax64, kOf}, {kInf64, kOf}, {kInf64, kOf}});
    // But a product that alone would overflow may be.
    expect_fma<Binary64>(kMax64, f64(2), kMax64 | kMinus64, always({kMax64, kNone}));
}

TEST(FloatFma, BreaksTiesByAnAddendFarBelow) {
    // 1 + 2^-53 is a tie; with the smallest subnormal added or subtracted it no longer is.
    uint64_t one = f64(1);
    uint64_t tie = f64(1 + 0x1p-26);
    uint64_t factor = f64(1 + 0x1p-27);  // product 1 + 2^-26 + 2^-27 + 2^-53
    uint64_t low = f64(1 + 0x1p-26 + 0x1p-27);
    expect_fma<Binary64>(tie, factor, 0,
                         {{low, kInexact}, {low, kInexact}, {low, kInexact}, {low + 1, kInexact}, {low + 1, kInexact}});
    expect_fma<Binary64>(
        tie, factor, 1,
        {{low + 1, kInexact}, {low, kInexact}, {low, kInexact}, {low + 1, kInexact}, {low + 1, kInexact}});
    expect_fma<Binary64>(tie, factor, kMinus64 | 1,
                         {{low, kInexact}, {low, kInexact}, {low, kInexact}, {low + 1, kInexact}, {low, kInexact}});
    expect_fma<Binary64>(1, 1, one,
                         {{one, kInexact}, {one, kInexact}, {one, kInexact}, {one + 1, kInexact}, {one, kInexact}});
}

TEST(FloatFma, UnderflowsByWhatItIsAfterRounding) {
    uint64_t min_normal = Binary64::kMinNormal;
    uint64_t minus_smallest = kMinus64 | 1;
    // 2^-1022 minus 2^-2148: next to the smallest normal number at any precision.
    expect_fma<Binary64>(1, minus_smallest, min_normal,
                         {{min_normal, kInexact},
                          {min_normal - 1, kUf},
                          {min_normal - 1, kUf},
                          {min_normal, kInexact},
                          {min_normal, kInexact}});
    expect_fma<Binary64>(1, 1, min_normal - 1,
                         {{min_normal - 1, kUf},
                          {min_normal - 1, kUf},
                          {min_normal - 1, kUf},
                          {min_normal, kUf},
                          {min_normal - 1, kUf}});
}

TEST(FloatFma, HandlesZerosAndInfinities) {
    InEachMode zero_sum{{0, kNone}, {0, kNone}, {kMinus64, kNone}, {0, kNone}, {0, kNone}};
    expect_fma<Binary64>(f64(2), f64(3), f64(-6), zero_sum);
    expect_fma<Binary64>(0, f64(3), kMinus64, zero_sum);
    expect_fma<Binary64>(kMinus64, f64(3), kMinus64, always({kMinus64, kNone}));
    expect_fma<Binary64>(0, kInf64, kNan64, always({kNan64, kInvalid}));
    expect_fma<Binary64>(kInf64, 0, f64(1), always({kNan64, kInvalid}));
    expect_fma<Binary64>(kInf64, f64(1), kInf64 | kMinus64, always({kNan64, kInvalid}));
    expect_fma<Binary64>(kInf64, f64(-1), kInf64 | kMinus64, always({kInf64 | kMinus64, kNone}));
    expect_fma<Binary64>(kMax64, kMax64, kInf64 | kMinus64, always({kInf64 | kMinus64, kNone}));
    expect_fma<Binary64>(kMax64, kMax64, kNan64, always({kNan64, kNone}));
    expect_fma<Binary64>(0, f64(3), f64(7), always({f64(7), kNone}));
}

TEST(FloatFma, NegatesProductAndAddend) {
    Flags flags = 0;
    uint32_t a = f32(2);
    uint32_t b = f32(3);
    uint32_t c = f32(1);
    EXPECT_EQ(fmadd<Binary32>(a, b, c, kRne, flags), f32(7));
    EXPECT_EQ(fmsub<Binary32>(a, b, c, kRne, flags), f32(5));
    EXPECT_EQ(fnmsub<Binary32>(a, b, c, kRne, flags), f32(-5));
    EXPECT_EQ(fnmadd<Binary32>(a, b, c, kRne, flags), f32(-7));
    // -(a * b) - c negates the operands, not the result: the exact zero keeps the mode's sign.
    EXPECT_EQ(fnmadd<Binary32>(a, b, f32(-6), kRne, flags), 0u);
    EXPECT_EQ(fnmadd<Binary32>(a, b, f32(-6), kRdn, flags), kMinus32);
    EXPECT_EQ(flags, kNone);
}

TEST(FloatMinMax, OrdersZerosAndPrefersNumbers) {
    Flags flags = 0;
    EXPECT_EQ(min<Binary32>(0, kMinus32, flags), kMinus32);
    EXPECT_EQ(min<Binary32>(kMinus32, 0, flags), kMinus32);
    EXPECT_EQ(max<Binary32>(0, kMinus32, flags), 0u);
    EXPECT_EQ(max<Binary32>(kMinus32, 0, flags), 0u);
    EXPECT_EQ(min<Binary32>(f32(-1), f32(-2), flags), f32(-2));
    EXPECT_EQ(max<Binary32>(f32(-1), f32(2), flags), f32(2));
    EXPECT_EQ(max<Binary32>(kInf32, kMax32, flags), kInf32);
    EXPECT_EQ(min<Binary32>(kNan32, f32(1), flags), f32(1));
    EXPECT_EQ(max<Binary32>(f32(1), kNan32 | 9, flags), f32(1));
    EXPECT_EQ(max<Binary32>(kNan32 | 9, kNan32 | kMinus32, flags), kNan32);
    EXPECT_EQ(flags, kNone);
    EXPECT_EQ(min<Binary32>(kSignaling32, f32(1), flags), f32(1));
    EXPECT_EQ(flags, kInvalid);
    flags = 0;
    EXPECT_EQ(max<Binary64>(kNan64, kSignaling64, flags), kNan64);
    EXPECT_EQ(flags, kInvalid);
}

TEST(FloatCompare, IsQuietForEqualityOnly) {
    Flags flags = 0;
    EXPECT_TRUE(eq<Binary64>(0, kMinus64, flags));
    EXPECT_TRUE(le<Binary64>(0, kMinus64, flags));
    EXPECT_FALSE(lt<Binary64>(kMinus64, 0, flags));
    EXPECT_TRUE(lt<Binary64>(f64(-2), f64(-1), flags));
    EXPECT_FALSE(lt<Binary64>(f64(1), f64(1), flags));
    EXPECT_TRUE(le<Binary64>(kInf64, kInf64, flags));
    EXPECT_TRUE(lt<Binary64>(kInf64 | kMinus64, kMinus64 | kMax64, flags));
    EXPECT_FALSE(eq<Binary64>(kNan64, kNan64, flags));
    EXPECT_EQ(flags, kNone);
    EXPECT_FALSE(eq<Binary64>(kSignaling64, f64(1), flags));
    EXPECT_EQ(flags, kInvalid);
    flags = 0;
    EXPECT_FALSE(lt<Binary64>(kNan64, f64(1), flags));
    EXPECT_EQ(flags, kInvalid);
    flags = 0;
    EXPECT_FALSE(le<Binary64>(f64(1), kNan64, flags));
    EXPECT_EQ(flags, kInvalid);
}

TEST(FloatClassify, NamesEachOfTheTenClasses) {
    EXPECT_EQ(classify<Binary32>(kInf32 | kMinus32), 1u << 0);
    EXPECT_EQ(classify<Binary32>(kMinus32 | Binary32::kMinNormal), 1u << 1);
    EXPECT_EQ(classify<Binary32>(kMinus32 | (Binary32::kMinNormal - 1)), 1u << 2);
    EXPECT_EQ(classify<Binary32>(kMinus32), 1u << 3);
    EXPECT_EQ(classify<Binary32>(0), 1u << 4);
    EXPECT_EQ(classify<Binary64>(1), 1u << 5);
    EXPECT_EQ(classify<Binary64>(kMax64), 1u << 6);
    EXPECT_EQ(classify<Binary64>(kInf64), 1u << 7);
    EXPECT_EQ(classify<Binary64>(kSignaling64 | kMinus64), 1u << 8);
    EXPECT_EQ(classify<Binary64>(kNan64 | kMinus64), 1u << 9);
}

TEST(FloatBox, ReadsAnImproperBoxAsNan) {
    EXPECT_EQ(box32(f32(-1)), 0xffff'ffff'bf80'0000u);
    EXPECT_EQ(unbox32(box32(kSignaling32)), kSignaling32);
    EXPECT_EQ(unbox32(f64(1)), kNan32);
    EXPECT_EQ(unbox32(0xffff'fffe'3f80'0000), kNan32);
    EXPECT_EQ(unbox32(0x3f80'0000), kNan32);
}

TEST(FloatFlags, AccumulateAndAreNeverCleared) {
    Flags flags = kInvalid | kDivideByZero;
    add<Binary64>(f64(1), f64(1), kRne, flags);
    EXPECT_EQ(flags, kInvalid | kDivideByZero);
    add<Binary64>(f64(1), 1, kRne, flags);
    EXPECT_EQ(flags, kInvalid | kDivideByZero | kInexact);
    mul<Binary64>(kMax64, kMax64, kRtz, flags);
    EXPECT_EQ(flags, kInvalid | kDivideByZero | kOf);
}

TEST(FloatEnvironment, RoundsToNearestAgainAfterEachMode) {
    volatile double one = 1;
    volatile double tiny = 0x1p-60;
    for (Rounding rounding : kAll) {
        Flags flags = 0;
        add<Binary64>(f64(1), 1, rounding, flags);
        fma<Binary64>(f64(1), f64(1), 1, rounding, flags);
        EXPECT_EQ(one + tiny, 1.0);
        EXPECT_EQ(-one - tiny, -1.0);
    }
}

}  // namespace
}  // namespace doppel::isa::fp
