// What the tests by hand share: results in each rounding mode, and names for the operands of rounding's corner cases.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <ostream>

#include "isa/float/format.h"

namespace doppel::isa::fp::expectation {

inline constexpr Rounding kRne = Rounding::kNearestEven;
inline constexpr Rounding kRtz = Rounding::kTowardZero;
inline constexpr Rounding kRdn = Rounding::kDown;
inline constexpr Rounding kRup = Rounding::kUp;
inline constexpr Rounding kRmm = Rounding::kNearestMaxMagnitude;
inline constexpr Rounding kAll[] = {kRne, kRtz, kRdn, kRup, kRmm};

inline constexpr Flags kNone = 0;
inline constexpr Flags kUf = kUnderflow | kInexact;
inline constexpr Flags kOf = kOverflow | kInexact;

struct Result {
    uint64_t bits;
    Flags flags;
    bool operator==(const Result&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Result& result) {
    return out << std::hex << "0x" << result.bits << " flags 0x" << result.flags;
}

// What an operation gives in the five modes, in kAll's order.
struct InEachMode {
    Result rne, rtz, rdn, rup, rmm;

    const Result& in(Rounding rounding) const {
        const Result* results[] = {&rne, &rtz, &rdn, &rup, &rmm};
        return *results[static_cast<size_t>(rounding)];
    }
};

inline InEachMode always(Result result) {
    return {result, result, result, result, result};
}

// `operation(rounding, flags)` is run with no flags and with inexact accrued: they take different paths.
inline void expect(auto operation, const InEachMode& expected) {
    for (Rounding rounding : kAll) {
        SCOPED_TRACE(static_cast<int>(rounding));
        Result want = expected.in(rounding);
        Result got{};
        got.bits = static_cast<uint64_t>(operation(rounding, got.flags));
        EXPECT_EQ(got, want);
        got.flags = kInexact;
        got.bits = static_cast<uint64_t>(operation(rounding, got.flags));
        want.flags |= kInexact;
        EXPECT_EQ(got, want);
    }
}

constexpr uint32_t f32(float value) {
    return std::bit_cast<uint32_t>(value);
}
constexpr uint64_t f64(double value) {
    return std::bit_cast<uint64_t>(value);
}

inline constexpr uint32_t kInf32 = Binary32::kInfinity;
inline constexpr uint32_t kMax32 = Binary32::kMaxFinite;
inline constexpr uint32_t kNan32 = 0x7fc0'0000;
inline constexpr uint32_t kSignaling32 = 0x7f80'0001;
inline constexpr uint32_t kMinus32 = Binary32::kSign;
inline constexpr uint64_t kInf64 = Binary64::kInfinity;
inline constexpr uint64_t kMax64 = Binary64::kMaxFinite;
inline constexpr uint64_t kNan64 = 0x7ff8'0000'0000'0000;
inline constexpr uint64_t kSignaling64 = 0x7ff0'0000'0000'0001;
inline constexpr uint64_t kMinus64 = Binary64::kSign;

}  // namespace doppel::isa::fp::expectation
