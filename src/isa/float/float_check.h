// One operation computed by float.h and by float_reference.h, by number: for the property test and the fuzzer.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <type_traits>

#include "isa/float/float.h"
#include "isa/float/float_reference.h"
#include "isa/float/soft_float.h"

namespace doppel::isa::fp::check {

using reference::Outcome;

enum class Operation : uint8_t {
    kAdd,
    kSub,
    kMul,
    kDiv,
    kSqrt,
    kFma,
    kFmsub,
    kFnmsub,
    kFnmadd,
    kConvert,  // to the other format
    kToInt32,
    kToUint32,
    kToInt64,
    kToUint64,
    kFromInt32,  // from the bits of `a`, truncated
    kFromUint32,
    kFromInt64,
    kFromUint64,
    kMin,
    kMax,
    kEq,
    kLt,
    kLe,
    kClassify,
};
inline constexpr unsigned kOperations = static_cast<unsigned>(Operation::kClassify) + 1;

inline constexpr Rounding kRoundings[] = {Rounding::kNearestEven, Rounding::kTowardZero, Rounding::kDown, Rounding::kUp,
                                          Rounding::kNearestMaxMagnitude};

struct Operands {
    uint64_t a;
    uint64_t b;
    uint64_t c;
};

template <class F>
using Other = std::conditional_t<std::is_same_v<F, Binary32>, Binary64, Binary32>;

// As float.h computes it, with `flags` accrued before.
template <class F>
Outcome compute(Operation operation, const Operands& operands, Rounding rounding, Flags flags) {
    using Bits = typename F::Bits;
    Bits a = static_cast<Bits>(operands.a);
    Bits b = static_cast<Bits>(operands.b);
    Bits c = static_cast<Bits>(operands.c);
    auto unsigned_bits = [](auto integer) {
        return uint64_t{static_cast<std::make_unsigned_t<decltype(integer)>>(integer)};
    };
    uint64_t bits = 0;
    switch (operation) {
        case Operation::kAdd:
            bits = add<F>(a, b, rounding, flags);
            break;
        case Operation::kSub:
            bits = sub<F>(a, b, rounding, flags);
            break;
        case Operation::kMul:
            bits = mul<F>(a, b, rounding, flags);
            break;
        case Operation::kDiv:
            bits = div<F>(a, b, rounding, flags);
            break;
        case Operation::kSqrt:
            bits = sqrt<F>(a, rounding, flags);
            break;
        case Operation::kFma:
            bits = fmadd<F>(a, b, c, rounding, flags);
            break;
        case Operation::kFmsub:
            bits = fmsub<F>(a, b, c, rounding, flags);
            break;
        case Operation::kFnmsub:
            bits = fnmsub<F>(a, b, c, rounding, flags);
            break;
        case Operation::kFnmadd:
            bits = fnmadd<F>(a, b, c, rounding, flags);
            break;
        case Operation::kConvert:
            bits = convert<Other<F>, F>(a, rounding, flags);
            break;
        case Operation::kToInt32:
            bits = unsigned_bits(to_integer<int32_t, F>(a, rounding, flags));
            break;
        case Operation::kToUint32:
            bits = to_integer<uint32_t, F>(a, rounding, flags);
            break;
        case Operation::kToInt64:
            bits = unsigned_bits(to_integer<int64_t, F>(a, rounding, flags));
            break;
        case Operation::kToUint64:
            bits = to_integer<uint64_t, F>(a, rounding, flags);
            break;
        case Operation::kFromInt32:
            bits = from_integer<F>(static_cast<int32_t>(operands.a), rounding, flags);
            break;
        case Operation::kFromUint32:
            bits = from_integer<F>(static_cast<uint32_t>(operands.a), rounding, flags);
            break;
        case Operation::kFromInt64:
            bits = from_integer<F>(static_cast<int64_t>(operands.a), rounding, flags);
            break;
        case Operation::kFromUint64:
            bits = from_integer<F>(operands.a, rounding, flags);
            break;
        case Operation::kMin:
            bits = min<F>(a, b, flags);
            break;
        case Operation::kMax:
            bits = max<F>(a, b, flags);
            break;
        case Operation::kEq:
            bits = eq<F>(a, b, flags);
            break;
        case Operation::kLt:
            bits = lt<F>(a, b, flags);
            break;
        case Operation::kLe:
            bits = le<F>(a, b, flags);
            break;
        case Operation::kClassify:
            bits = classify<F>(a);
            break;
    }
    return {bits, flags};
}

// The reference's result for one set of operands: the exact value is found once and rounded for each mode.
template <class F>
class Expectation {
  public:
    using Bits = typename F::Bits;

    Expectation(Operation operation, const Operands& operands)
        : operation_(operation),
          a_(static_cast<Bits>(operands.a)),
          b_(static_cast<Bits>(operands.b)),
          exact_(find_exact(operation, operands)) {}

    Outcome in(Rounding rounding) const {
        switch (operation_) {
            case Operation::kConvert:
                return reference::round<Other<F>>(exact_, rounding);
            case Operation::kToInt32:
                return reference::to_integer<int32_t, F>(a_, rounding);
            case Operation::kToUint32:
                return reference::to_integer<uint32_t, F>(a_, rounding);
            case Operation::kToInt64:
                return reference::to_integer<int64_t, F>(a_, rounding);
            case Operation::kToUint64:
                return reference::to_integer<uint64_t, F>(a_, rounding);
            case Operation::kMin:
                return reference::extremum<F>(a_, b_, true);
            case Operation::kMax:
                return reference::extremum<F>(a_, b_, false);
            case Operation::kEq:
                return reference::relate<F>(a_, b_, reference::Relation::kEqual);
            case Operation::kLt:
                return reference::relate<F>(a_, b_, reference::Relation::kLess);
            case Operation::kLe:
                return reference::relate<F>(a_, b_, reference::Relation::kLessEqual);
            case Operation::kClassify:
                return {reference::classify<F>(a_), 0};
            default:
                return reference::round<F>(exact_, rounding);
        }
    }

  private:
    static reference::Exact find_exact(Operation operation, const Operands& operands) {
        Bits a = static_cast<Bits>(operands.a);
        Bits b = static_cast<Bits>(operands.b);
        Bits c = static_cast<Bits>(operands.c);
        constexpr Bits kMinus = Bits{1} << (F::kWidth - 1);
        switch (operation) {
            case Operation::kAdd:
                return reference::add<F>(a, b);
            case Operation::kSub:
                return reference::add<F>(a, b ^ kMinus);
            case Operation::kMul:
                return reference::mul<F>(a, b);
            case Operation::kDiv:
                return reference::div<F>(a, b);
            case Operation::kSqrt:
                return reference::sqrt<F>(a);
            case Operation::kFma:
                return reference::fma<F>(a, b, c);
            case Operation::kFmsub:
                return reference::fma<F>(a, b, c ^ kMinus);
            case Operation::kFnmsub:
                return reference::fma<F>(a ^ kMinus, b, c);
            case Operation::kFnmadd:
                return reference::fma<F>(a ^ kMinus, b, c ^ kMinus);
            case Operation::kConvert:
                return reference::convert<Other<F>, F>(a);
            case Operation::kFromInt32:
                return reference::from_integer<F>(static_cast<int32_t>(operands.a));
            case Operation::kFromUint32:
                return reference::from_integer<F>(static_cast<uint32_t>(operands.a));
            case Operation::kFromInt64:
                return reference::from_integer<F>(static_cast<int64_t>(operands.a));
            case Operation::kFromUint64:
                return reference::from_integer<F>(operands.a);
            default:
                return {};
        }
    }

    Operation operation_;
    Bits a_;
    Bits b_;
    reference::Exact exact_;
};

// The integer path alone, which float.h takes only where the host's unit cannot serve. False where it does not apply.
template <class F>
bool compute_soft(Operation operation, const Operands& operands, Rounding rounding, Outcome& outcome) {
    using Bits = typename F::Bits;
    Bits a = static_cast<Bits>(operands.a);
    Bits b = static_cast<Bits>(operands.b);
    Bits c = static_cast<Bits>(operands.c);
    auto rounds = [](Bits x) { return F::is_finite(x) && !F::is_zero(x); };
    outcome = {};
    if (!rounds(a) || (operation != Operation::kSqrt && !rounds(b))) return false;
    switch (operation) {
        case Operation::kAdd:
            outcome.bits = soft::add<F>(a, b, rounding, outcome.flags);
            return true;
        case Operation::kMul:
            outcome.bits = soft::mul<F>(a, b, rounding, outcome.flags);
            return true;
        case Operation::kDiv:
            outcome.bits = soft::div<F>(a, b, rounding, outcome.flags);
            return true;
        case Operation::kSqrt:
            if (F::is_negative(a)) return false;
            outcome.bits = soft::sqrt<F>(a, rounding, outcome.flags);
            return true;
        case Operation::kFma:
            if (!F::is_finite(c)) return false;
            outcome.bits = soft::fma<F>(a, b, c, rounding, outcome.flags);
            return true;
        default:
            return false;
    }
}

// Empty, or what differs: each rounding mode, with nothing and with inexact accrued before (they take different paths).
template <class F>
std::string compare(Operation operation, const Operands& operands) {
    Expectation<F> expectation(operation, operands);
    auto describe = [&](const char* path, Rounding rounding, const Outcome& got, const Outcome& want) {
        std::string text = std::string(path) + " binary" + std::to_string(F::kWidth) + " operation " +
                           std::to_string(static_cast<int>(operation)) + " rounding " +
                           std::to_string(static_cast<int>(rounding));
        char values[200];
        std::snprintf(values, sizeof values, " of %#llx %#llx %#llx: %#llx flags %#x, expected %#llx flags %#x",
                      static_cast<unsigned long long>(operands.a), static_cast<unsigned long long>(operands.b),
                      static_cast<unsigned long long>(operands.c), static_cast<unsigned long long>(got.bits), got.flags,
                      static_cast<unsigned long long>(want.bits), want.flags);
        return text + values;
    };
    for (Rounding rounding : kRoundings) {
        Outcome want = expectation.in(rounding);
        Outcome soft;
        if (compute_soft<F>(operation, operands, rounding, soft) && soft != want) {
            return describe("integer path", rounding, soft, want);
        }
        for (Flags before : {Flags{0}, kInexact}) {
            Outcome got = compute<F>(operation, operands, rounding, before);
            want.flags |= before;
            if (got != want) return describe("float.h", rounding, got, want);
        }
    }
    return {};
}

}  // namespace doppel::isa::fp::check
