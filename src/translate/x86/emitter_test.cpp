#include "translate/x86/emitter.h"

#include <gtest/gtest.h>

#include "translate/x86/native_machine.h"

namespace doppel::translate::x86 {

TEST(Emitter, RandomBlocksDoWhatTheyMean) {
    constexpr uint64_t kSeed = 0x5eed, kTrials = 5'000;
    NativeMachine native;
    unsigned compiled = 0;
    for (uint64_t i = 0; i < kTrials; i++) {
        Choices choices(kSeed + i * 0xd134'2543'de82'ef95);
        Trial trial = try_random_blocks(native, choices);
        ASSERT_EQ(trial.problem, "") << "trial " << i;
        compiled += trial.compiled ? 1 : 0;
    }
    // Few need more values at once than there are places for.
    EXPECT_GT(compiled, kTrials * 9 / 10);
}

// One guest instruction that ends with `end`.
Compiled compile(const HostFeatures& host, std::initializer_list<Node> nodes) {
    Block block;
    Builder builder(block);
    builder.begin_instruction(0);
    for (const Node& node : nodes) builder.add(node);
    builder.finish(4);
    Emitter emitter(NativeMachine::layout(), canonical_mapping(), {}, host);
    return emitter.compile({&block, 1});
}

TEST(Emitter, RefusesAJumpFartherThanTheHostCanAdd) {
    auto jump = [](uint64_t offset) { return Node{.operation = Operation::kJump, .imm = offset}; };
    EXPECT_TRUE(compile(host_features(), {jump(0x7fff'fffe)}).ok);
    EXPECT_TRUE(compile(host_features(), {jump(~uint64_t{0} << 31)}).ok);
    EXPECT_FALSE(compile(host_features(), {jump(0x8000'0000)}).ok);
    EXPECT_FALSE(compile(host_features(), {jump((~uint64_t{0} << 31) - 2)}).ok);
}

// Rare code is emitted when all blocks have been: it must not ask what the last one has where.
TEST(Emitter, LoadsFloatsAcrossPagesInBlocksThatAreNotTheLast) {
    std::vector<Block> blocks(2);
    Builder first(blocks[0]);
    first.begin_instruction(0);
    ValueId base = first.get_integer(10);
    first.set_float(1, first.load(64, base));
    first.begin_instruction(4);
    first.set_float(2, first.load(64, first.binary(Operation::kAdd, Type::kI64, base, first.constant(Type::kI64, 8))));
    first.begin_instruction(8);
    first.add({.operation = Operation::kJump, .imm = 0x100});
    first.finish(12);
    Builder second(blocks[1]);
    second.begin_instruction(0x100);
    for (unsigned n = 1; n < 9; n++) second.set_integer(n, second.get_integer(n + 1));
    second.add({.operation = Operation::kJump, .imm = 0x200});
    second.finish(0x104);

    NativeMachine native;
    Machine meant;
    meant.data_address = 0x8000'3000;
    meant.data.resize(2 * Machine::kPageBytes);
    for (size_t i = 0; i < meant.data.size(); i++) meant.data[i] = static_cast<uint8_t>(i * 7);
    meant.permits = [](uint64_t, bool) { return true; };
    meant.budget = 100;
    meant.x[10] = meant.data_address + Machine::kPageBytes - 8;
    Machine did = meant;
    Evaluation(meant, blocks).run();
    ASSERT_TRUE(native.run(did, blocks, canonical_mapping(), {}));
    EXPECT_EQ(difference(meant, did), "");
}

TEST(Emitter, UsesNothingThatTheHostLacks) {
    std::initializer_list<Node> fused = {
        {.operation = Operation::kGetFloat, .type = Type::kI64, .imm = 1},
        {.operation = Operation::kFloatMadd, .type = Type::kI64, .a = 1, .b = 1, .c = 1},
        {.operation = Operation::kSetFloat, .a = 2, .imm = 2},
        {.operation = Operation::kJump, .imm = 8},
    };
    EXPECT_TRUE(compile({.fma = true, .popcnt = true}, fused).ok);
    EXPECT_FALSE(compile({.popcnt = true}, fused).ok) << "the interpreter has to do it";
}

}  // namespace doppel::translate::x86
