#include "translate/ir.h"

#include <gmock/gmock.h>

#include "translate/builder.h"

namespace doppel::translate {
namespace {

using testing::HasSubstr;

// One instruction: x3 = x1 + x2, and on to the next one.
Block addition() {
    Block block;
    Builder builder(block);
    builder.begin_instruction(0x10);
    ValueId a = builder.get_integer(1), b = builder.get_integer(2);
    builder.set_integer(3, builder.binary(Operation::kAdd, Type::kI64, a, b));
    builder.add({.operation = Operation::kJump, .imm = 0x14});
    builder.finish(0x14);
    return block;
}

std::string complaint(const Block& block) {
    auto verified = verify(block);
    return verified ? "" : verified.error().message();
}
// About the addition with one more operation before its end.
std::string complaint_of(const Node& node) {
    Block block = addition();
    block.nodes.insert(block.nodes.end() - 1, node);
    return complaint(block);
}

TEST(Ir, IsPrintedALineAnOperation) {
    EXPECT_EQ(print(addition()),
              "+0x10:\n  %1 = get.x.64 0x1\n  %2 = get.x.64 0x2\n  %3 = add.64 %1, %2\n  set.x %3, 0x3\n  jump 0x14\n");
}

TEST(Ir, IsPrintedWithWidthsOfAccessesAndBothWaysOfABranch) {
    Block block;
    Builder builder(block);
    builder.begin_instruction(0);
    ValueId a = builder.get_integer(1);
    ValueId loaded = builder.unary(Operation::kSext, Type::kI64, builder.load(8, a));
    builder.store(16, a, builder.unary(Operation::kTrunc, Type::kI16, loaded));
    builder.begin_instruction(4);
    ValueId zero = builder.binary(Operation::kEq, Type::kI1, loaded, builder.constant(Type::kI64, 0));
    builder.add({.operation = Operation::kBranch, .a = zero, .imm = 0x40, .other = 8});
    builder.finish(8);
    EXPECT_EQ(print(block),
              "+0x0:\n  %1 = get.x.64 0x1\n  %2 = load.s.64[8] %1, 0x0\n  %3 = trunc.16 %2\n  store[16] %1, %3, 0x0\n"
              "+0x4:\n  %5 = constant.64 0x0\n  %6 = eq.1 %2, %5\n  branch %6, 0x40 else 0x8\n");
    EXPECT_EQ(complaint(block), "");
}

TEST(Verify, AcceptsABlockThatIsWhole) {
    EXPECT_EQ(complaint(addition()), "");
}

TEST(Verify, WantsGuestInstructions) {
    EXPECT_THAT(complaint(Block{.offsets = {0x10}}), HasSubstr("no guest instruction"));
    Block block = addition();
    block.nodes[2].guest = 1;
    EXPECT_THAT(complaint(block), HasSubstr("no such guest instruction"));
}

TEST(Verify, WantsAnEndAndOnlyOne) {
    Block block = addition();
    block.nodes.pop_back();
    EXPECT_THAT(complaint(block), HasSubstr("no end"));
    EXPECT_THAT(complaint_of({.operation = Operation::kInterpret}), HasSubstr("an end inside"));
}

TEST(Verify, WantsTheOperandsOfTheOperation) {
    EXPECT_THAT(complaint_of({.operation = Operation::kNot, .type = Type::kI64, .a = 1, .b = 2}),
                HasSubstr("an operand too many"));
    EXPECT_THAT(complaint_of({.operation = Operation::kAdd, .type = Type::kI64, .a = 1}),
                HasSubstr("an operand is missing"));
    EXPECT_EQ(complaint_of({.operation = Operation::kCall, .type = Type::kI64, .a = 1}), "")
        << "helpers take up to three";
}

TEST(Verify, WantsOperandsThatComeBeforeAndHaveAValue) {
    EXPECT_THAT(complaint_of({.operation = Operation::kNot, .type = Type::kI64, .a = 5}), HasSubstr("comes later"));
    EXPECT_THAT(complaint_of({.operation = Operation::kNot, .type = Type::kI64, .a = 400}), HasSubstr("comes later"));
    EXPECT_THAT(complaint_of({.operation = Operation::kNot, .type = Type::kI64, .a = 4}), HasSubstr("without a value"));
}

TEST(Verify, WantsTypesThatFit) {
    struct Case {
        Node node;
        const char* why;
    };
    const Case cases[] = {
        {{.operation = Operation::kAdd, .type = Type::kI32, .a = 1, .b = 2}, "operands of another width"},
        {{.operation = Operation::kShl, .type = Type::kI16, .a = 1, .b = 2}, "operands of another width"},
        {{.operation = Operation::kCountOnes, .type = Type::kI32, .a = 1}, "operands of another width"},
        {{.operation = Operation::kLoad, .type = Type::kI64, .extra = 32, .a = 1}, "another width than its value"},
        {{.operation = Operation::kLoadZero, .type = Type::kI32, .extra = 32, .a = 1}, "load to fewer bits"},
        {{.operation = Operation::kStore, .extra = 32, .a = 1, .b = 2}, "another width than its value"},
        {{.operation = Operation::kEq, .type = Type::kI64, .a = 1, .b = 2}, "comparison of different widths"},
        {{.operation = Operation::kSelect, .type = Type::kI64, .a = 1, .b = 1, .c = 2},
         "selection of different widths"},
        {{.operation = Operation::kTrunc, .type = Type::kI64, .a = 1}, "truncation to more bits"},
        {{.operation = Operation::kZext, .type = Type::kI32, .a = 1}, "extension to fewer bits"},
        {{.operation = Operation::kSext, .type = Type::kI64, .a = 1}, "extension to fewer bits"},
    };
    for (const Case& one : cases) EXPECT_THAT(complaint_of(one.node), HasSubstr(one.why));
}

// A host register holds anything above a value of 8 or 16 bits, so that nothing may be computed with it.
TEST(Verify, WantsArithmeticOfWordsOnly) {
    constexpr uint8_t kDouble = 64, kByte = 8;
    auto complaint_about = [](Type narrow, Node node) {
        Block block = addition();
        auto insert = [&](const Node& one) {
            block.nodes.insert(block.nodes.end() - 1, one);
            return static_cast<ValueId>(block.nodes.size() - 2);
        };
        ValueId value = narrow == Type::kI1 ? insert({.operation = Operation::kUlt, .type = narrow, .a = 1, .b = 2})
                                            : insert({.operation = Operation::kTrunc, .type = narrow, .a = 1});
        node.a = value;
        if (info(node.operation).operands > 1) node.b = value;
        insert(node);
        return complaint(block);
    };
    for (Type narrow : {Type::kI1, Type::kI8, Type::kI16}) {
        for (Operation operation :
             {Operation::kAdd, Operation::kSub, Operation::kMul, Operation::kShr, Operation::kRotl, Operation::kSdiv,
              Operation::kCountOnes, Operation::kByteReverse}) {
            EXPECT_THAT(complaint_about(narrow, {.operation = operation, .type = narrow}),
                        HasSubstr("another width than 32 or 64"))
                << info(operation).text << width(narrow);
        }
        EXPECT_THAT(complaint_about(narrow, {.operation = Operation::kUlt, .type = Type::kI1}),
                    HasSubstr("comparison of another width"));
        EXPECT_THAT(complaint_about(narrow, {.operation = Operation::kLoad, .type = Type::kI64, .extra = kDouble}),
                    HasSubstr("an address of another width"));
        for (Operation operation : {Operation::kAnd, Operation::kNot}) {
            std::string why = complaint_about(narrow, {.operation = operation, .type = narrow});
            EXPECT_EQ(why.empty(), narrow == Type::kI1) << why;
        }
    }
    EXPECT_THAT(complaint_about(Type::kI32, {.operation = Operation::kMulHighSigned, .type = Type::kI32}),
                HasSubstr("another width than 64"));
    EXPECT_THAT(complaint_about(Type::kI8, {.operation = Operation::kSext, .type = Type::kI16}),
                HasSubstr("extension to another width"));
    EXPECT_THAT(complaint_about(Type::kI1, {.operation = Operation::kSext, .type = Type::kI64}),
                HasSubstr("sign extension of one bit"));
    EXPECT_THAT(complaint_of({.operation = Operation::kTrunc, .type = Type::kI1, .a = 1}), HasSubstr("to one bit"));
    EXPECT_THAT(complaint_of({.operation = Operation::kAtomicAdd, .type = Type::kI8, .extra = kByte, .a = 1, .b = 2}),
                HasSubstr("an atomic of another width"));
    EXPECT_THAT(complaint_of({.operation = Operation::kSelect, .type = Type::kI8, .a = 1, .b = 1, .c = 2}),
                HasSubstr("selection of different widths"));
}

TEST(Verify, WantsRegistersOf64BitsAndConditionsOfOne) {
    Block block = addition();
    block.nodes.back() = {.operation = Operation::kBranch, .a = 1, .imm = 0, .other = 4};
    EXPECT_THAT(complaint(block), HasSubstr("a condition that is no bit"));
    for (Operation operation : {Operation::kSetInteger, Operation::kSetFloat, Operation::kJumpTo}) {
        Block narrow = addition();
        Node word{.operation = Operation::kTrunc, .type = Type::kI32, .a = 1};
        narrow.nodes.insert(narrow.nodes.end() - 1, word);
        auto id = static_cast<ValueId>(narrow.nodes.size() - 2);
        Node write{.operation = operation, .a = id};
        if (operation == Operation::kJumpTo) {
            narrow.nodes.back() = write;
        } else {
            narrow.nodes.insert(narrow.nodes.end() - 1, write);
        }
        EXPECT_THAT(complaint(narrow), HasSubstr("a register of another width than 64")) << info(operation).text;
    }
}

TEST(Verify, WantsCallsToComeBackToTheirPage) {
    Block block = addition();
    for (uint8_t linkage : {uint8_t{1}, uint8_t{31}}) {
        block.nodes.back() = {.operation = Operation::kJump, .extra = linkage, .imm = 0x800, .other = 0x18};
        EXPECT_TRUE(verify(block)) << print(block);
        for (int32_t wrong : {-4, 0, 0x1000}) {
            block.nodes.back().other = wrong;
            EXPECT_THAT(complaint(block), HasSubstr("comes back to another page"));
        }
    }
    block.nodes.back() = {.operation = Operation::kJumpTo, .extra = kReturn, .a = 1};
    EXPECT_TRUE(verify(block));
    block.nodes.back().extra = kReturn + 1;
    EXPECT_THAT(complaint(block), HasSubstr("a call with no such register"));
}

TEST(Ir, NamesTheOperationsThatMayLeaveABlock) {
    for (Operation operation : {Operation::kLoad, Operation::kStore, Operation::kStoreConditional,
                                Operation::kAtomicMaxUnsigned, Operation::kJump, Operation::kInterpret}) {
        EXPECT_TRUE(may_leave(operation)) << info(operation).text;
    }
    for (Operation operation : {Operation::kConstant, Operation::kSetInteger, Operation::kCall, Operation::kCallFloat,
                                Operation::kFence, Operation::kFloatAdd, Operation::kFloatLe, Operation::kBox}) {
        EXPECT_FALSE(may_leave(operation)) << info(operation).text;
    }
}

}  // namespace
}  // namespace doppel::translate
