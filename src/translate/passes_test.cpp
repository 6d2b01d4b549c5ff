#include "translate/passes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "translate/builder.h"

namespace doppel::translate {
namespace {

class RemoveDead : public testing::Test {
  protected:
    RemoveDead() { next(); }

    void next() { builder.begin_instruction(static_cast<uint16_t>(4 * count_++)); }
    ValueId x(unsigned number) { return builder.get_integer(number); }
    ValueId sum(ValueId a, ValueId b) { return builder.binary(Operation::kAdd, Type::kI64, a, b); }
    void clean() {
        builder.add({.operation = Operation::kJump, .imm = 0x100});
        builder.finish(static_cast<uint16_t>(4 * count_));
        remove_dead(block);
        auto verified = verify(block);
        EXPECT_TRUE(verified) << verified.error().message() << print(block);
    }
    auto left(Operation operation) const {
        return std::count_if(block.nodes.begin(), block.nodes.end(),
                             [&](const Node& node) { return node.operation == operation; });
    }

    Block block;
    Builder builder{block};

  private:
    unsigned count_ = 0;
};

TEST_F(RemoveDead, TakesValuesThatNobodyUses) {
    sum(x(1), x(2));
    builder.set_integer(3, sum(x(4), x(5)));
    clean();
    EXPECT_EQ(left(Operation::kAdd), 1);
    EXPECT_EQ(left(Operation::kGetInteger), 2);
}

TEST_F(RemoveDead, TakesWritesThatAreOverwritten) {
    builder.set_integer(3, sum(x(1), x(2)));
    builder.set_float(3, x(1));
    next();
    builder.set_integer(3, sum(x(4), x(5)));
    builder.set_float(3, x(2));
    clean();
    EXPECT_EQ(left(Operation::kSetInteger), 1);
    EXPECT_EQ(left(Operation::kSetFloat), 1);
    EXPECT_EQ(left(Operation::kFloatDirty), 1);
}

TEST_F(RemoveDead, KeepsWritesThatAnAccessMayShow) {
    builder.set_integer(3, sum(x(1), x(2)));
    next();
    builder.set_integer(6, builder.load(64, x(7)));
    next();
    builder.set_integer(3, sum(x(4), x(5)));
    clean();
    EXPECT_EQ(left(Operation::kSetInteger), 3);
}

TEST_F(RemoveDead, KeepsWritesThatAFloatOperationMayLeaveToTheInterpreter) {
    for (bool rare : {true, false}) {
        SCOPED_TRACE(rare);
        Block one;
        Builder two(one);
        two.begin_instruction(0);
        two.set_integer(3, two.get_integer(1));
        two.begin_instruction(4);
        ValueId f = two.get_float(1);
        two.add({.operation = rare ? Operation::kFloatMin : Operation::kFloatAdd, .type = Type::kI64, .a = f, .b = f});
        two.set_integer(3, two.get_integer(2));
        two.add({.operation = Operation::kJump});
        two.finish(8);
        remove_dead(one);
        auto writes = std::count_if(one.nodes.begin(), one.nodes.end(),
                                    [](const Node& node) { return node.operation == Operation::kSetInteger; });
        EXPECT_EQ(writes, rare ? 2 : 1);
    }
}

TEST_F(RemoveDead, KeepsAccessesAndFloatOperationsWithoutUse) {
    builder.load(64, x(7));
    ValueId f = builder.get_float(1);
    builder.add({.operation = Operation::kFloatAdd, .type = Type::kI64, .a = f, .b = f});
    clean();
    EXPECT_EQ(left(Operation::kLoad), 1) << "it may fault";
    EXPECT_EQ(left(Operation::kFloatAdd), 1) << "it raises flags";
}

TEST_F(RemoveDead, KeepsTheLastWriteOfEachRegister) {
    for (unsigned n = 1; n < 32; n++) builder.set_integer(n, sum(x(1), builder.constant(Type::kI64, n)));
    clean();
    EXPECT_EQ(left(Operation::kSetInteger), 31);
}

TEST_F(RemoveDead, RenumbersOperands) {
    sum(x(1), x(2));
    ValueId kept = sum(x(3), x(4));
    builder.set_integer(5, builder.binary(Operation::kXor, Type::kI64, kept, x(6)));
    clean();
    const Node& last = block.nodes[block.nodes.size() - 3];
    ASSERT_EQ(last.operation, Operation::kXor);
    EXPECT_EQ(block.nodes[last.a].operation, Operation::kAdd);
    EXPECT_EQ(block.nodes[last.b].imm, 6u);
}

}  // namespace
}  // namespace doppel::translate
