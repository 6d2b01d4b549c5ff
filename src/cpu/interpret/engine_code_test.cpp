// Code that changes, that straddles pages, and that is more than the block cache holds.
#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

constexpr uint64_t kCode = ProgramMachine::kCode;
constexpr uint64_t kPage = 4096;

std::string at(uint64_t address) {
    return std::to_string(address);
}

TEST(ChangingCode, IsSeenAfterFenceI) {
    ProgramMachine m;
    uint64_t function = kCode + 0x400;
    m.put(function, {"addi a0, a0, 1", "jalr zero, 0(ra)"});
    m.x("s0") = function;
    m.x("s1") = ProgramMachine::assemble("addi a0, a0, 100");
    m.execute(
        {"jal ra, " + at(function), "jal ra, " + at(function), "sw s1, 0(s0)", "fence.i", "jal ra, " + at(function)},
        kCode);
    EXPECT_EQ(m.x("a0"), 102u);
}

TEST(ChangingCode, MayBeTheVeryNextInstruction) {
    ProgramMachine m;
    m.x("s1") = ProgramMachine::assemble("addi a0, a0, 100");
    // Twice through: the first time it is patched, the second time it is cached as patched.
    m.x("s0") = kCode + 8;
    m.x("a1") = 2;
    m.execute({"sw s1, 0(s0)", "fence.i", "addi a0, a0, 1", "addi a1, a1, -1", "bne a1, zero, " + at(kCode)});
    EXPECT_EQ(m.x("a0"), 200u);
}

TEST(ChangingCode, MayChangeItsLength) {
    ProgramMachine m;
    uint64_t function = kCode + 0x400;
    m.put(function, {"c.addi a0, 1", "c.addi a0, 2", "jalr zero, 0(ra)"});
    m.x("s0") = function;
    m.x("s1") = ProgramMachine::assemble("addi a0, a0, 1000");
    m.execute({"jal ra, " + at(function), "sw s1, 0(s0)", "fence.i", "jal ra, " + at(function)});
    EXPECT_EQ(m.x("a0"), 1003u);
}

TEST(ChangingCode, MayComeBack) {
    ProgramMachine m;
    uint64_t function = kCode + 0x400;
    m.put(function, {"addi a0, a0, 1", "jalr zero, 0(ra)"});
    uint32_t one = ProgramMachine::assemble("addi a0, a0, 1"), two = ProgramMachine::assemble("addi a0, a0, 16");
    m.x("s0") = function, m.x("s1") = two, m.x("s2") = one, m.x("a1") = 100;
    m.execute({"jal ra, " + at(function), "sw s1, 0(s0)", "fence.i", "jal ra, " + at(function), "sw s2, 0(s0)",
               "fence.i", "addi a1, a1, -1", "bne a1, zero, " + at(kCode)});
    EXPECT_EQ(m.x("a0"), 1700u);
}

TEST(ChangingCode, IsSeenAfterAnotherHartAsksForAFence) {
    ProgramMachine m;
    m.put(kCode, {"addi a0, a0, 1", "jal zero, " + at(kCode)});
    m.vcpu->run(1000);
    EXPECT_EQ(m.x("a0"), 500u);
    m.put(kCode, {"addi a0, a0, 2"});
    m.vcpu->request_instruction_fence();
    m.vcpu->run(1000);
    EXPECT_EQ(m.x("a0"), 1500u);
}

TEST(PageBoundaries, AreCrossedByInstructionsOfFourBytes) {
    ProgramMachine m;
    uint64_t boundary = kCode + 3 * kPage;
    m.x("a1") = 3;
    m.execute(
        {"c.addi a0, 1", "addi a0, a0, 2", "c.addi a0, 4", "addi a1, a1, -1", "bne a1, zero, " + at(boundary - 4)},
        boundary - 4);
    EXPECT_EQ(m.x("a0"), 21u);
    EXPECT_EQ(m.hart.retired, 15u + 1);
}

TEST(PageBoundaries, MayBeCrossedByAnInstructionThatJumps) {
    ProgramMachine m;
    uint64_t boundary = kCode + 3 * kPage;
    m.execute({"jal ra, " + at(boundary + 6), "c.nop", "c.nop"}, boundary - 2);
    EXPECT_EQ(m.x("ra"), boundary + 2);
}

TEST(PageBoundaries, EndBlocksOfShortInstructions) {
    ProgramMachine m;
    uint64_t boundary = kCode + 3 * kPage;
    m.x("a1") = 5;
    m.execute({"c.addi a0, 1", "c.addi a0, 1", "c.addi a0, 1", "c.addi a1, -1", "c.bnez a1, " + at(boundary - 4)},
              boundary - 4);
    EXPECT_EQ(m.x("a0"), 15u);
}

TEST(PageBoundaries, AreSeenWhenTheSecondHalfChanges) {
    ProgramMachine m;
    uint64_t boundary = kCode + 3 * kPage;
    uint64_t start = boundary - 2;
    m.put(start, {"addi a0, a0, 1", "jalr zero, 0(ra)"});
    m.x("s0") = boundary;
    m.x("s1") = ProgramMachine::assemble("addi a0, a0, 64") >> 16;
    m.execute({"jal ra, " + at(start), "jal ra, " + at(start), "sh s1, 0(s0)", "fence.i", "jal ra, " + at(start)},
              kCode);
    EXPECT_EQ(m.x("a0"), 66u);
}

TEST(PageBoundaries, AtTheEndOfMemoryFaultAtTheMissingHalf) {
    ProgramMachine m;
    uint64_t last = ProgramMachine::kRamEnd - 2;
    m.store<uint16_t>(last, 0x0513);  // the lower half of an addi
    m.hart.pc = last;
    EXPECT_EQ(m.run(), (Trap{isa::riscv::cause::kFetchAccess, last, ProgramMachine::kRamEnd}));
    m.put_bits(last, ProgramMachine::assemble("c.nop"));
    m.vcpu->request_instruction_fence();
    m.hart.pc = last;
    EXPECT_EQ(m.run(), (Trap{isa::riscv::cause::kFetchAccess, ProgramMachine::kRamEnd, ProgramMachine::kRamEnd}));
}

// More decoded code than the cache holds, run twice and between itself: everything is dropped and decoded again.
TEST(BlockCache, SurvivesOverflow) {
    ProgramMachine m;
    constexpr uint64_t kInstructions = 1'000'000;
    uint16_t increment = static_cast<uint16_t>(ProgramMachine::assemble("c.addi a0, 1"));
    uint64_t start = ProgramMachine::kRam + 0x200000;
    for (uint64_t i = 0; i < kInstructions; i++) m.store<uint16_t>(start + 2 * i, increment);
    m.put(start + 2 * kInstructions, {"jalr zero, 0(ra)"});
    m.x("s0") = start;
    m.execute({"jalr ra, 0(s0)", "jalr ra, 0(s0)", "jalr ra, 0(s0)"});
    EXPECT_EQ(m.x("a0"), 3 * kInstructions);
    EXPECT_EQ(m.hart.retired, 3 * (kInstructions + 2) + 1);
}

// Blocks of one instruction each, all over memory, in an order without pattern.
TEST(BlockCache, SurvivesOverflowBySmallBlocks) {
    ProgramMachine m;
    // Each jumps to where a linear congruential sequence goes next; they come back to the first after all have run.
    constexpr uint64_t kBlocks = 1 << 17, kStride = 32;
    uint64_t start = ProgramMachine::kRam + 0x200000;
    auto address = [&](uint64_t i) { return start + i * kStride; };
    uint64_t position = 0;
    for (uint64_t i = 0; i < kBlocks; i++) {
        uint64_t next = (position * 5 + 12345) % kBlocks;
        uint64_t code = m.put(address(position), {"c.addi a0, 1"});
        // jal reaches 1 MiB only.
        uint64_t high = (address(next) - code + 0x800) >> 12 & 0xfffff;
        int32_t low = static_cast<int32_t>((address(next) - code) << 20) >> 20;
        m.put(code, {"auipc t0, " + std::to_string(high), "jalr zero, " + std::to_string(low) + "(t0)"});
        position = next;
    }
    ASSERT_EQ(position, 0u) << "the sequence has full period";
    m.hart.pc = start;
    m.vcpu->run(3 * kBlocks * 3);
    EXPECT_EQ(m.x("a0"), 3 * kBlocks);
    EXPECT_EQ(m.hart.pc, start);
}

}  // namespace
}  // namespace doppel::cpu::interpret
