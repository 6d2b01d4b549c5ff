#include "translate/builder.h"

#include <gtest/gtest.h>

#include "translate/evaluate.h"
#include "translate/random_blocks.h"

namespace doppel::translate {
namespace {

class BuilderTest : public testing::Test {
  protected:
    BuilderTest() { builder.begin_instruction(0x10); }

    ValueId x(unsigned number) { return builder.get_integer(number); }
    ValueId number(uint64_t value, Type type = Type::kI64) { return builder.constant(type, value); }
    ValueId two(Operation operation, ValueId a, ValueId b, Type type = Type::kI64) {
        return builder.binary(operation, type, a, b);
    }
    ValueId one(Operation operation, Type type, ValueId a) { return builder.unary(operation, type, a); }
    const Node& node(ValueId id) const { return block.nodes[id]; }
    bool is(ValueId id, Operation operation) const { return node(id).operation == operation; }
    bool is_number(ValueId id, uint64_t value) const { return is(id, Operation::kConstant) && node(id).imm == value; }

    Block block;
    Builder builder{block};
};

TEST_F(BuilderTest, FoldsConstants) {
    EXPECT_TRUE(is_number(two(Operation::kAdd, number(~uint64_t{0}), number(3)), 2));
    EXPECT_TRUE(is_number(two(Operation::kUlt, number(1), number(2), Type::kI1), 1));
    EXPECT_TRUE(is_number(two(Operation::kAdd, number(0xffff'ffff, Type::kI32), number(1, Type::kI32), Type::kI32), 0));
    EXPECT_TRUE(is_number(one(Operation::kSext, Type::kI64, number(0x80, Type::kI8)), 0xffff'ffff'ffff'ff80));
    EXPECT_TRUE(is_number(one(Operation::kTrunc, Type::kI16, number(0x1'2345)), 0x2345));
    EXPECT_EQ(builder.select(number(1, Type::kI1), x(1), x(2)), x(1));
    EXPECT_EQ(builder.select(number(0, Type::kI1), x(1), x(2)), x(2));
}

TEST_F(BuilderTest, DropsOperationsThatChangeNothing) {
    ValueId a = x(5);
    for (Operation operation : {Operation::kAdd, Operation::kSub, Operation::kOr, Operation::kXor, Operation::kShl,
                                Operation::kShr, Operation::kSar, Operation::kRotl, Operation::kRotr}) {
        EXPECT_EQ(two(operation, a, number(0)), a) << info(operation).text;
    }
    EXPECT_EQ(two(Operation::kMul, a, number(1)), a);
    EXPECT_EQ(two(Operation::kAnd, a, number(~uint64_t{0})), a);
    EXPECT_EQ(two(Operation::kAnd, a, a), a);
    EXPECT_EQ(two(Operation::kOr, a, a), a);
    EXPECT_EQ(builder.select(two(Operation::kUlt, a, x(6), Type::kI1), x(7), x(7)), x(7));
    EXPECT_EQ(one(Operation::kNot, Type::kI64, one(Operation::kNot, Type::kI64, a)), a);
    EXPECT_EQ(two(Operation::kAdd, number(0), a), a) << "constants go to the right";
}

TEST_F(BuilderTest, KnowsResultsThatDoNotDependOnTheOperand) {
    ValueId a = x(5);
    EXPECT_TRUE(is_number(two(Operation::kXor, a, a), 0));
    EXPECT_TRUE(is_number(two(Operation::kAnd, a, number(0)), 0));
    EXPECT_TRUE(is_number(two(Operation::kMul, a, number(0)), 0));
    EXPECT_TRUE(is_number(two(Operation::kEq, a, a, Type::kI1), 1));
    for (Operation operation : {Operation::kNe, Operation::kUlt, Operation::kSlt}) {
        EXPECT_TRUE(is_number(two(operation, a, a, Type::kI1), 0));
    }
}

TEST_F(BuilderTest, AddsConstantsUp) {
    ValueId sum = two(Operation::kSub, two(Operation::kAdd, x(5), number(100)), number(30));
    EXPECT_TRUE(is(sum, Operation::kAdd));
    EXPECT_EQ(node(sum).a, x(5));
    EXPECT_TRUE(is_number(node(sum).b, 70));
    ValueId address = two(Operation::kAdd, builder.page_plus(0x100), number(0x20));
    EXPECT_EQ(builder.page_offset(address), 0x120u);
    EXPECT_EQ(builder.page_offset(two(Operation::kAnd, builder.page_plus(0x101), number(~uint64_t{1}))), 0x100u);
    EXPECT_EQ(builder.page_offset(x(5)), std::nullopt);
}

TEST_F(BuilderTest, NarrowsBitOperationsOnExtendedWords) {
    ValueId low = one(Operation::kTrunc, Type::kI32, x(5)), other = one(Operation::kTrunc, Type::kI32, x(6));
    ValueId a = one(Operation::kSext, Type::kI64, low), b = one(Operation::kSext, Type::kI64, other);
    ValueId both = two(Operation::kXor, a, b);
    EXPECT_TRUE(is(both, Operation::kSext));
    EXPECT_TRUE(is(node(both).a, Operation::kXor));
    EXPECT_EQ(node(node(both).a).type, Type::kI32);
    ValueId masked = two(Operation::kAnd, a, number(0xffff'ffff'ffff'fff0));
    EXPECT_TRUE(is(masked, Operation::kSext));
    EXPECT_TRUE(is(two(Operation::kAnd, a, number(0xffff'fff0)), Operation::kAnd)) << "no sign-extended word";
    EXPECT_TRUE(is(two(Operation::kAdd, a, b), Operation::kAdd)) << "carries";
}

TEST_F(BuilderTest, SeesThroughChangesOfWidth) {
    ValueId word = one(Operation::kTrunc, Type::kI32, x(5));
    EXPECT_EQ(one(Operation::kTrunc, Type::kI32, one(Operation::kSext, Type::kI64, word)), word);
    ValueId byte = one(Operation::kTrunc, Type::kI8, word);
    EXPECT_EQ(node(byte).a, x(5));
    ValueId half = two(Operation::kShr, two(Operation::kShl, x(5), number(32)), number(32));
    EXPECT_TRUE(is(half, Operation::kZext));
    EXPECT_TRUE(is(two(Operation::kShr, two(Operation::kShl, x(5), number(31)), number(31)), Operation::kShr));
    ValueId single = one(Operation::kTrunc, Type::kI32, builder.get_float(1));
    EXPECT_EQ(one(Operation::kUnbox, Type::kI32, one(Operation::kBox, Type::kI64, single)), single);
    EXPECT_TRUE(
        is(one(Operation::kBox, Type::kI64, one(Operation::kUnbox, Type::kI32, builder.get_float(2))), Operation::kBox))
        << "it may not have been boxed";
}

TEST_F(BuilderTest, ExtendsALoadThatNobodyUsedYet) {
    ValueId load = builder.load(16, x(5));
    EXPECT_EQ(one(Operation::kSext, Type::kI64, load), load);
    EXPECT_TRUE(is(load, Operation::kLoadSigned));
    load = builder.load(8, x(5));
    EXPECT_EQ(one(Operation::kZext, Type::kI64, load), load);
    EXPECT_TRUE(is(load, Operation::kLoadZero));
    load = builder.load(32, x(5));
    builder.page_plus(0);
    EXPECT_TRUE(is(one(Operation::kSext, Type::kI64, load), Operation::kSext));
}

TEST_F(BuilderTest, TakesSmallOffsetsIntoAccesses) {
    ValueId load = builder.load(64, two(Operation::kAdd, x(5), number(static_cast<uint64_t>(-16))));
    EXPECT_EQ(node(load).a, x(5));
    EXPECT_EQ(node(load).imm, static_cast<uint64_t>(-16));
    load = builder.load(64, two(Operation::kAdd, x(5), number(uint64_t{1} << 20)));
    EXPECT_TRUE(is(node(load).a, Operation::kAdd));
    EXPECT_EQ(node(load).imm, 0u);
}

TEST_F(BuilderTest, ReadsARegisterOnceAndWritesItWhenItChanges) {
    EXPECT_EQ(x(5), x(5));
    EXPECT_TRUE(is_number(x(0), 0));
    ValueId a = x(6);
    builder.set_integer(5, a);
    EXPECT_EQ(x(5), a);
    size_t count = block.nodes.size();
    builder.set_integer(5, a);
    builder.set_integer(0, a);
    EXPECT_EQ(block.nodes.size(), count);
    EXPECT_TRUE(is_number(x(0), 0));
    ValueId f = builder.get_float(3);
    EXPECT_EQ(builder.get_float(3), f);
    builder.set_float(4, f);
    EXPECT_EQ(builder.get_float(4), f);
}

TEST_F(BuilderTest, NotesWritesOfFloatRegistersOnce) {
    builder.set_float(1, x(5));
    builder.set_float(2, x(5));
    EXPECT_TRUE(block.writes_float);
    unsigned notes = 0;
    for (const Node& at : block.nodes) notes += at.operation == Operation::kFloatDirty ? 1 : 0;
    EXPECT_EQ(notes, 1u);
}

TEST_F(BuilderTest, MergesSignsIntoAMoveOrANegation) {
    constexpr uint64_t kSign = uint64_t{1} << 63;
    auto merged = [&](ValueId a, ValueId b) {
        return two(Operation::kOr, two(Operation::kAnd, a, number(~kSign)), two(Operation::kAnd, b, number(kSign)));
    };
    ValueId f = builder.get_float(1), g = builder.get_float(2);
    EXPECT_EQ(merged(f, f), f);
    ValueId negated = merged(f, one(Operation::kNot, Type::kI64, f));
    EXPECT_TRUE(is(negated, Operation::kXor));
    EXPECT_EQ(node(negated).a, f);
    EXPECT_TRUE(is_number(node(negated).b, kSign));
    EXPECT_TRUE(is(merged(f, g), Operation::kOr));
}

// Each operation on values and constants, simplified or as it is, means the same.
TEST(Builder, ChangesNoResult) {
    constexpr unsigned kTrials = 100'000;
    Choices choices(1);
    for (unsigned i = 0; i < kTrials; i++) {
        auto operation = static_cast<Operation>(
            static_cast<unsigned>(Operation::kAdd) +
            choices.below(static_cast<unsigned>(Operation::kSrem) - static_cast<unsigned>(Operation::kAdd) + 1));
        bool is_unary = info(operation).operands == 1,
             is_comparison = operation >= Operation::kEq && operation <= Operation::kSlt;
        if (operation == Operation::kSelect) continue;
        bool is_high = operation >= Operation::kMulHighUnsigned && operation <= Operation::kMulHighSignedUnsigned;
        Type type = !is_high && choices.one_in(3) ? Type::kI32 : Type::kI64;
        Machine simple;
        for (uint64_t& value : simple.x) value = choices.value();
        simple.x[0] = 0;
        Machine plain = simple;
        const uint64_t constants[] = {choices.value(), choices.value()};
        unsigned shape = choices.below(6);
        auto record = [&](Block& block, bool raw) {
            Builder builder(block);
            builder.begin_instruction(0);
            auto unary = [&](Operation which, Type to, ValueId a) {
                return raw ? builder.add({.operation = which, .type = to, .a = a}) : builder.unary(which, to, a);
            };
            auto binary = [&](Operation which, Type to, ValueId a, ValueId b) {
                return raw ? builder.add({.operation = which, .type = to, .a = a, .b = b})
                           : builder.binary(which, to, a, b);
            };
            auto operand = [&](unsigned n, bool constant) {
                if (constant) return builder.constant(type, constants[n]);
                ValueId value = builder.get_integer(5 + (shape == 4 ? 0 : n));
                ValueId word = unary(Operation::kTrunc, Type::kI32, value);
                if (type == Type::kI32) return word;
                return shape == 5 ? unary(Operation::kSext, Type::kI64, word) : value;
            };
            ValueId a = operand(0, shape == 0 || shape == 1), b = operand(1, shape == 0 || shape == 2);
            if (shape == 3) a = binary(Operation::kAdd, type, a, builder.constant(type, constants[0]));
            Type to = is_comparison ? Type::kI1 : type;
            ValueId result = is_unary ? unary(operation, to, a) : binary(operation, to, a, b);
            if (to != Type::kI64) result = unary(Operation::kZext, Type::kI64, result);
            builder.set_integer(9, result);
            builder.begin_instruction(4);
            builder.add({.operation = Operation::kInterpret});
            builder.finish(8);
        };
        Block simplified, straight;
        record(simplified, false);
        record(straight, true);
        ASSERT_TRUE(verify(simplified)) << verify(simplified).error().message() << print(simplified);
        simple.budget = plain.budget = 2;
        Evaluation(simple, {&simplified, 1}).run();
        Evaluation(plain, {&straight, 1}).run();
        ASSERT_EQ(simple.x[9], plain.x[9]) << print(straight) << "became\n" << print(simplified);
    }
}

}  // namespace
}  // namespace doppel::translate
