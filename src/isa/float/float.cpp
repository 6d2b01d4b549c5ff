#include "isa/float/float.h"

#include <bit>
#include <type_traits>

#include "isa/float/host_float.h"
#include "isa/float/soft_float.h"

namespace doppel::isa::fp {
namespace {

// An operation, as the host does it on native values and as integers do it on finite non-zero operands. kTinyIsExact: a
// result below the normal range is never rounded, so that it cannot underflow.
struct Add {
    static constexpr bool kTinyIsExact = true;
    static auto host(auto a, auto b) { return a + b; }
    template <class F>
    static auto soft(Rounding rounding, Flags& flags, auto a, auto b) {
        return soft::add<F>(a, b, rounding, flags);
    }
};

struct Multiply {
    static constexpr bool kTinyIsExact = false;
    static auto host(auto a, auto b) { return a * b; }
    template <class F>
    static auto soft(Rounding rounding, Flags& flags, auto a, auto b) {
        return soft::mul<F>(a, b, rounding, flags);
    }
};

struct Divide {
    static constexpr bool kTinyIsExact = false;
    static auto host(auto a, auto b) { return a / b; }
    template <class F>
    static auto soft(Rounding rounding, Flags& flags, auto a, auto b) {
        return soft::div<F>(a, b, rounding, flags);
    }
};

struct SquareRoot {
    static constexpr bool kTinyIsExact = true;
    static auto host(auto a) { return host::sqrt(a); }
    template <class F>
    static auto soft(Rounding rounding, Flags& flags, auto a) {
        return soft::sqrt<F>(a, rounding, flags);
    }
};

struct FusedMultiplyAdd {
    static constexpr bool kTinyIsExact = false;
    static auto host(auto a, auto b, auto c) { return host::fma(a, b, c); }
    template <class F>
    static auto soft(Rounding rounding, Flags& flags, auto a, auto b, auto c) {
        return soft::fma<F>(a, b, c, rounding, flags);
    }
};

template <class F>
host::Native<F> to_native(typename F::Bits bits) {
    return std::bit_cast<host::Native<F>>(bits);
}

template <class F>
typename F::Bits to_bits(host::Native<F> value) {
    return std::bit_cast<typename F::Bits>(value);
}

// Reading and writing the host's control register costs more than the arithmetic. With nearest-even rounding and
// inexact already accrued, the result itself shows that nothing else was raised: it is finite and cannot have
// underflowed.
template <class F, class Operation>
bool raised_inexact_at_most(typename F::Bits result) {
    if constexpr (Operation::kTinyIsExact) return F::is_finite(result);
    // The smallest normal number itself may be a tiny value rounded up.
    return F::magnitude(result) - (F::kMinNormal + 1) < F::kInfinity - (F::kMinNormal + 1);
}

// `rounding` is one that the host has.
template <class F, class Operation, class... Operands>
typename F::Bits compute_on_host(Rounding rounding, Flags& flags, Operands... operands) {
    typename F::Bits result;
    Flags raised;
    {
        host::Environment environment(rounding);
        result = to_bits<F>(host::pin(Operation::host(host::pin(to_native<F>(operands))...)));
        raised = environment.raised();
    }
    if constexpr (!host::kTinyIsAfterRounding) {
        bool doubtful = F::magnitude(result) == F::kMinNormal && (raised & kInexact) != 0;
        if (doubtful) return Operation::template soft<F>(rounding, flags, operands...);
    }
    flags |= raised;
    return F::is_nan(result) ? F::kCanonicalNan : result;
}

// The control register is not touched on the way out of the first branch; everything else is kept out of line.
template <class F, class Operation, class... Operands>
[[gnu::noinline]] typename F::Bits compute_with_flags(Rounding rounding, Flags& flags, Operands... operands) {
    if (rounding == Rounding::kNearestMaxMagnitude) {
        bool rounds = (... && (F::is_finite(operands) && !F::is_zero(operands)));
        if constexpr (std::is_same_v<Operation, SquareRoot>) rounds = rounds && (... && !F::is_negative(operands));
        if (rounds) return Operation::template soft<F>(rounding, flags, operands...);
        rounding = Rounding::kNearestEven;  // an operand that is zero, infinite or NaN: the result is exact
    }
    return compute_on_host<F, Operation>(rounding, flags, operands...);
}

template <class F, class Operation, class... Operands>
typename F::Bits compute(Rounding rounding, Flags& flags, Operands... operands) {
    if (rounding == Rounding::kNearestEven && (flags & kInexact) != 0) [[likely]] {
        typename F::Bits result = to_bits<F>(Operation::host(to_native<F>(operands)...));
        if (raised_inexact_at_most<F, Operation>(result)) [[likely]]
            return result;
    }
    return compute_with_flags<F, Operation>(rounding, flags, operands...);
}

template <class F>
[[gnu::noinline]] typename F::Bits fma_with_flags(typename F::Bits a, typename F::Bits b, typename F::Bits c,
                                                  Rounding rounding, Flags& flags) {
    bool zero_times_infinity = (F::is_zero(a) && F::is_infinite(b)) || (F::is_infinite(a) && F::is_zero(b));
    if (zero_times_infinity) {
        flags |= kInvalid;  // also when c is a quiet NaN, where IEEE 754 7.2 c) leaves the choice and hosts differ
        return F::kCanonicalNan;
    }
    if (host::has_fma() && rounding != Rounding::kNearestMaxMagnitude) {
        return compute_on_host<F, FusedMultiplyAdd>(rounding, flags, a, b, c);
    }
    bool product_rounds = F::is_finite(a) && F::is_finite(b) && !F::is_zero(a) && !F::is_zero(b);
    if (product_rounds && F::is_finite(c)) return soft::fma<F>(a, b, c, rounding, flags);
    // A product with a special operand is exact; a finite one must not overflow against an infinite or NaN addend.
    typename F::Bits product = product_rounds ? typename F::Bits{0} : mul<F>(a, b, rounding, flags);
    return add<F>(product, c, rounding, flags);
}

template <class F>
bool any_signaling(typename F::Bits a, typename F::Bits b) {
    return F::is_signaling(a) || F::is_signaling(b);
}

// Numbers in ascending order, -0 just below +0, as unsigned integers.
template <class F>
typename F::Bits order(typename F::Bits a) {
    return F::is_negative(a) ? ~a : a | F::kSign;
}

template <class F>
typename F::Bits select_number(typename F::Bits a, typename F::Bits b, bool want_a, Flags& flags) {
    if (any_signaling<F>(a, b)) flags |= kInvalid;
    if (F::is_nan(a)) return F::is_nan(b) ? F::kCanonicalNan : b;
    return F::is_nan(b) || want_a ? a : b;
}

template <class F>
bool unordered(typename F::Bits a, typename F::Bits b) {
    return F::is_nan(a) || F::is_nan(b);
}

template <class F>
bool both_zero(typename F::Bits a, typename F::Bits b) {
    return F::magnitude(a | b) == 0;
}

}  // namespace

template <class F>
typename F::Bits add(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags) {
    return compute<F, Add>(rounding, flags, a, b);
}

template <class F>
typename F::Bits sub(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags) {
    return compute<F, Add>(rounding, flags, a, static_cast<typename F::Bits>(b ^ F::kSign));
}

template <class F>
typename F::Bits mul(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags) {
    return compute<F, Multiply>(rounding, flags, a, b);
}

template <class F>
typename F::Bits div(typename F::Bits a, typename F::Bits b, Rounding rounding, Flags& flags) {
    return compute<F, Divide>(rounding, flags, a, b);
}

template <class F>
typename F::Bits sqrt(typename F::Bits a, Rounding rounding, Flags& flags) {
    return compute<F, SquareRoot>(rounding, flags, a);
}

template <class F>
typename F::Bits fma(typename F::Bits a, typename F::Bits b, typename F::Bits c, Rounding rounding, Flags& flags) {
    if (rounding == Rounding::kNearestEven && (flags & kInexact) != 0 && host::has_fma()) [[likely]] {
        typename F::Bits result = to_bits<F>(host::fma(to_native<F>(a), to_native<F>(b), to_native<F>(c)));
        if (raised_inexact_at_most<F, FusedMultiplyAdd>(result)) [[likely]]
            return result;
    }
    return fma_with_flags<F>(a, b, c, rounding, flags);
}

template <class F>
typename F::Bits min(typename F::Bits a, typename F::Bits b, Flags& flags) {
    return select_number<F>(a, b, order<F>(a) < order<F>(b), flags);
}

template <class F>
typename F::Bits max(typename F::Bits a, typename F::Bits b, Flags& flags) {
    return select_number<F>(a, b, order<F>(a) > order<F>(b), flags);
}

template <class F>
bool eq(typename F::Bits a, typename F::Bits b, Flags& flags) {
    if (any_signaling<F>(a, b)) flags |= kInvalid;
    return !unordered<F>(a, b) && (a == b || both_zero<F>(a, b));
}

template <class F>
bool lt(typename F::Bits a, typename F::Bits b, Flags& flags) {
    if (unordered<F>(a, b)) {
        flags |= kInvalid;
        return false;
    }
    return order<F>(a) < order<F>(b) && !both_zero<F>(a, b);
}

template <class F>
bool le(typename F::Bits a, typename F::Bits b, Flags& flags) {
    if (unordered<F>(a, b)) {
        flags |= kInvalid;
        return false;
    }
    return order<F>(a) <= order<F>(b) || both_zero<F>(a, b);
}

template <class F>
uint32_t classify(typename F::Bits a) {
    if (F::is_nan(a)) return F::is_signaling(a) ? 1u << 8 : 1u << 9;
    bool negative = F::is_negative(a);
    if (F::is_infinite(a)) return negative ? 1u << 0 : 1u << 7;
    if (F::magnitude(a) >= F::kMinNormal) return negative ? 1u << 1 : 1u << 6;
    if (!F::is_zero(a)) return negative ? 1u << 2 : 1u << 5;
    return negative ? 1u << 3 : 1u << 4;
}

#define DOPPEL_INSTANTIATE(F)                                             \
    template F::Bits add<F>(F::Bits, F::Bits, Rounding, Flags&);          \
    template F::Bits sub<F>(F::Bits, F::Bits, Rounding, Flags&);          \
    template F::Bits mul<F>(F::Bits, F::Bits, Rounding, Flags&);          \
    template F::Bits div<F>(F::Bits, F::Bits, Rounding, Flags&);          \
    template F::Bits sqrt<F>(F::Bits, Rounding, Flags&);                  \
    template F::Bits fma<F>(F::Bits, F::Bits, F::Bits, Rounding, Flags&); \
    template F::Bits min<F>(F::Bits, F::Bits, Flags&);                    \
    template F::Bits max<F>(F::Bits, F::Bits, Flags&);                    \
    template bool eq<F>(F::Bits, F::Bits, Flags&);                        \
    template bool lt<F>(F::Bits, F::Bits, Flags&);                        \
    template bool le<F>(F::Bits, F::Bits, Flags&);                        \
    template uint32_t classify<F>(F::Bits);
DOPPEL_INSTANTIATE(Binary32)
DOPPEL_INSTANTIATE(Binary64)
#undef DOPPEL_INSTANTIATE

}  // namespace doppel::isa::fp
