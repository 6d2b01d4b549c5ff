// float.h against the exact reference of float_reference.h, on random operands that crowd where rounding is hard.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "isa/float/float_check.h"

namespace doppel::isa::fp {
namespace {

using check::Operands;
using check::Operation;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kCases = 1500;
#elif !defined(NDEBUG)
constexpr int kCases = 4000;
#else
constexpr int kCases = 25000;
#endif

template <class F>
class Generator {
  public:
    using Bits = typename F::Bits;

    explicit Generator(uint64_t seed) : random_(seed) {}

    Operands operands(Operation operation) {
        Operands chosen{value(), value(), value()};
        switch (below(4)) {
            case 0:
                chosen.b = near(static_cast<Bits>(chosen.a));
                break;  // cancellation, quotients near 1
            case 1:
                crowd_at_underflow(operation, chosen);
                break;
            case 2:
                crowd_at_cancellation(chosen);
                break;
            default:
                break;
        }
        return chosen;
    }

  private:
    uint64_t below(uint64_t limit) { return random_() % limit; }
    Bits random_sign() { return below(2) != 0 ? F::kSign : 0; }

    Bits special() {
        static constexpr Bits kOne = Bits{F::kBias} << F::kFractionBits;
        static constexpr Bits kValues[] = {0,
                                           1,
                                           2,
                                           3,
                                           F::kMinNormal - 1,
                                           F::kMinNormal,
                                           F::kMinNormal + 1,
                                           kOne - 1,
                                           kOne,
                                           kOne + 1,
                                           kOne + F::kMinNormal,
                                           F::kMaxFinite,
                                           F::kMaxFinite - 1,
                                           F::kInfinity,
                                           F::kInfinity + 1,
                                           F::kCanonicalNan,
                                           F::kCanonicalNan | 5};
        return kValues[below(std::size(kValues))] | random_sign();
    }

    // A significand with few runs of ones: sums and products of such are exact, ties, or next to ties.
    Bits sparse() {
        Bits fraction = 0;
        for (uint64_t i = below(4); i > 0; i--) fraction ^= Bits{1} << below(F::kFractionBits);
        if (below(2) != 0) fraction = (F::kMinNormal >> below(F::kFractionBits)) - 1 - fraction;
        return fraction & F::kFraction;
    }

    Bits with_exponent(int64_t biased, Bits fraction) {
        Bits field = static_cast<Bits>(std::clamp<int64_t>(biased, 0, 2 * F::kBias));
        return (field << F::kFractionBits) | fraction | random_sign();
    }

    Bits value() {
        Bits random_bits = static_cast<Bits>(random_());
        switch (below(8)) {
            case 0:
                return special();
            case 1:
                return random_bits;
            case 2:
                return (random_bits & F::kFraction) >> below(F::kFractionBits) | random_sign();  // subnormal
            case 3:
                return with_exponent(F::kBias + static_cast<int64_t>(below(70)), sparse());  // about an integer
            case 4:
                return with_exponent(static_cast<int64_t>(below(2 * F::kBias + 1)), sparse());
            case 5:
                return with_exponent(2 * F::kBias - static_cast<int64_t>(below(3)), random_bits & F::kFraction);
            case 6:
                return with_exponent(F::kBias - 4 + static_cast<int64_t>(below(8)), sparse());
            default:
                return with_exponent(F::kBias - 4 + static_cast<int64_t>(below(8)), random_bits & F::kFraction);
        }
    }

    Bits near(Bits a) {
        int64_t distance = static_cast<int64_t>(below(2 * F::kPrecision + 4)) - F::kPrecision;
        int64_t biased = static_cast<int64_t>(F::magnitude(a) >> F::kFractionBits) + (below(2) != 0 ? distance : 0);
        Bits fraction = below(2) != 0 ? sparse() : (a + static_cast<Bits>(below(5)) - 2) & F::kFraction;
        return with_exponent(biased, fraction);
    }

    // Products and quotients about the smallest normal number and the smallest subnormal one.
    void crowd_at_underflow(Operation operation, Operands& chosen) {
        int64_t target = below(2) != 0 ? 1 : 1 - F::kFractionBits;
        int64_t biased_a = static_cast<int64_t>(below(F::kBias)) + (operation == Operation::kDiv ? 1 : F::kBias / 2);
        target += static_cast<int64_t>(below(5)) - 2;
        int64_t biased_b = operation == Operation::kDiv ? biased_a - target + F::kBias : target + F::kBias - biased_a;
        Bits tail = static_cast<Bits>(random_()) & F::kFraction;
        chosen.a = with_exponent(biased_a, below(2) != 0 ? sparse() : tail);
        chosen.b = with_exponent(biased_b, below(2) != 0 ? sparse() : F::kFraction - (tail >> below(F::kFractionBits)));
        if (below(2) != 0) chosen.c = special();
    }

    // An addend that is nearly the negated product, or some binary places below it.
    void crowd_at_cancellation(Operands& chosen) {
        Flags ignored = 0;
        Bits product =
            mul<F>(static_cast<Bits>(chosen.a), static_cast<Bits>(chosen.b), Rounding::kNearestEven, ignored);
        chosen.c = below(2) != 0 ? (product ^ F::kSign) + static_cast<Bits>(below(3)) - 1 : near(product);
    }

    std::mt19937_64 random_;
};

template <class F>
void agree_on_random_operands() {
    for (unsigned i = 0; i < check::kOperations; i++) {
        auto operation = static_cast<Operation>(i);
        Generator<F> generator(1000 + i);
        for (int n = 0; n < kCases; n++) {
            std::string difference = check::compare<F>(operation, generator.operands(operation));
            ASSERT_EQ(difference, "");
        }
    }
}

TEST(FloatAgainstReference, Binary32AgreesOnRandomOperands) {
    agree_on_random_operands<Binary32>();
}

TEST(FloatAgainstReference, Binary64AgreesOnRandomOperands) {
    agree_on_random_operands<Binary64>();
}

}  // namespace
}  // namespace doppel::isa::fp
