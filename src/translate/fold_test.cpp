#include <gtest/gtest.h>

#include <limits>

#include "isa/concrete.h"
#include "translate/builder.h"
#include "translate/random_blocks.h"

namespace doppel::translate {
namespace {

TEST(Fold, NamesWhatItFolds) {
    EXPECT_TRUE(foldable(Operation::kAdd));
    EXPECT_TRUE(foldable(Operation::kSext));
    for (Operation operation : {Operation::kConstant, Operation::kGetInteger, Operation::kSelect, Operation::kCall,
                                Operation::kLoad, Operation::kBox, Operation::kFloatAdd, Operation::kJump}) {
        EXPECT_FALSE(foldable(operation)) << info(operation).text;
    }
}

// Against arithmetic written out here; isa/concrete_test.cpp has the rest.
template <class U>
void expect_arithmetic(Choices& choices) {
    using S = std::make_signed_t<U>;
    constexpr unsigned kBits = 8 * sizeof(U);
    constexpr auto kType = static_cast<Type>(kBits);
    auto a = static_cast<U>(choices.value()), b = static_cast<U>(choices.value());
    auto sa = static_cast<S>(a), sb = static_cast<S>(b);
    unsigned by = b % kBits;
    auto folds = [&](Operation operation, uint64_t expected, Type type = static_cast<Type>(8 * sizeof(U))) {
        EXPECT_EQ(fold(operation, kType, type, a, b), expected)
            << info(operation).text << "." << kBits << " of " << uint64_t{a} << ", " << uint64_t{b};
    };
    auto low = [](auto value) { return uint64_t{static_cast<U>(value)}; };
    folds(Operation::kAdd, low(uint64_t{a} + b));
    folds(Operation::kSub, low(uint64_t{a} - b));
    folds(Operation::kMul, low(uint64_t{a} * b));
    folds(Operation::kAnd, low(a & b));
    folds(Operation::kOr, low(a | b));
    folds(Operation::kXor, low(a ^ b));
    folds(Operation::kNot, low(~a));
    folds(Operation::kShl, low(uint64_t{a} << by));
    folds(Operation::kShr, low(a >> by));
    folds(Operation::kSar, low(sa >> by));
    folds(Operation::kRotl, low(by == 0 ? a : uint64_t{a} << by | a >> (kBits - by)));
    folds(Operation::kRotr, low(by == 0 ? a : a >> by | uint64_t{a} << (kBits - by)));
    folds(Operation::kEq, a == b, Type::kI1);
    folds(Operation::kNe, a != b, Type::kI1);
    folds(Operation::kUlt, a < b, Type::kI1);
    folds(Operation::kSlt, sa < sb, Type::kI1);
    bool overflows = sa == std::numeric_limits<S>::min() && sb == -1;
    folds(Operation::kUdiv, b == 0 ? low(-1) : low(a / b));
    folds(Operation::kUrem, b == 0 ? a : low(a % b));
    folds(Operation::kSdiv, b == 0 ? low(-1) : overflows ? a : low(sa / sb));
    folds(Operation::kSrem, b == 0 ? a : overflows ? 0 : low(sa % sb));
    unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
    __int128 signed_product = static_cast<__int128>(sa) * sb,
             mixed = static_cast<__int128>(sa) * static_cast<__int128>(b);
    folds(Operation::kMulHighUnsigned, low(product >> kBits));
    folds(Operation::kMulHighSigned, low(signed_product >> kBits));
    folds(Operation::kMulHighSignedUnsigned, low(mixed >> kBits));
    unsigned ones = 0, leading = kBits, trailing = kBits;
    for (unsigned i = 0; i < kBits; i++) {
        if (!(a >> i & 1)) continue;
        ones++;
        leading = kBits - 1 - i;
        if (trailing == kBits) trailing = i;
    }
    folds(Operation::kCountOnes, ones);
    folds(Operation::kCountLeadingZeros, leading);
    folds(Operation::kCountTrailingZeros, trailing);
    folds(Operation::kZext, a, Type::kI64);
    folds(Operation::kSext, static_cast<uint64_t>(int64_t{sa}), Type::kI64);
    folds(Operation::kTrunc, a & 1, Type::kI1);
}

TEST(Fold, DoesArithmeticOfEachWidth) {
    constexpr int kTrials = 20'000;
    Choices choices(2);
    for (int i = 0; i < kTrials && !testing::Test::HasFailure(); i++) {
        expect_arithmetic<uint64_t>(choices);
        expect_arithmetic<uint32_t>(choices);
        expect_arithmetic<uint16_t>(choices);
        expect_arithmetic<uint8_t>(choices);
    }
}

TEST(Fold, ReversesBytes) {
    EXPECT_EQ(fold(Operation::kByteReverse, Type::kI64, Type::kI64, 0x0102'0304'0506'0708, 0), 0x0807'0605'0403'0201u);
    EXPECT_EQ(fold(Operation::kByteReverse, Type::kI32, Type::kI32, 0x0102'0304, 0), 0x0403'0201u);
}

TEST(Fold, ComputesWithSingleBits) {
    for (uint64_t a : {0, 1}) {
        for (uint64_t b : {0, 1}) {
            auto folded = [&](Operation operation) { return fold(operation, Type::kI1, Type::kI1, a, b); };
            EXPECT_EQ(folded(Operation::kAnd), a & b);
            EXPECT_EQ(folded(Operation::kOr), a | b);
            EXPECT_EQ(folded(Operation::kXor), a ^ b);
            EXPECT_EQ(folded(Operation::kNe), a ^ b);
            EXPECT_EQ(folded(Operation::kEq), 1 ^ a ^ b);
            EXPECT_EQ(folded(Operation::kNot), 1 ^ a);
        }
        EXPECT_EQ(fold(Operation::kZext, Type::kI1, Type::kI64, a, 0), a);
    }
}

}  // namespace
}  // namespace doppel::translate
