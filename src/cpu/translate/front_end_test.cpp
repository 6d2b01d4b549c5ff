#include "cpu/translate/front_end.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "isa/riscv/assemble.h"
#include "translate/random_blocks.h"

namespace doppel::cpu::translate {
namespace {

using doppel::translate::Operation;
using isa::riscv::InstructionId;

class Page {
  public:
    static constexpr size_t kBytes = 4096;

    // What lies behind the page's end is left out.
    void put(size_t at, uint32_t bits) {
        for (unsigned i = 0; i < isa::riscv::length_of(bits) && at + i < kBytes; i++) {
            bytes_[at + i] = static_cast<uint8_t>(bits >> 8 * i);
        }
    }
    uint16_t put(uint16_t at, std::initializer_list<const char*> lines) {
        for (const char* line : lines) {
            auto bits = isa::riscv::assemble(line, at);
            if (!bits) {
                ADD_FAILURE() << bits.error().message();
                return at;
            }
            put(size_t{at}, *bits);
            at = static_cast<uint16_t>(at + isa::riscv::length_of(*bits));
        }
        return at;
    }
    auto record(uint16_t at, CodeMode mode = {}) const { return record_block(bytes_, at, mode); }

  private:
    std::array<uint8_t, kBytes> bytes_{};
};

Operation end_of(const RecordedBlock& recorded) {
    return recorded.block.nodes.back().operation;
}

TEST(FrontEnd, RecordsUpToAJump) {
    Page page;
    page.put(0x100, {"addi a0, a0, 1", "ld a1, 8(a0)", "beq a0, a1, 0x180"});
    auto recorded = page.record(0x100);
    ASSERT_TRUE(recorded);
    EXPECT_EQ(recorded->bytes, 12u);
    EXPECT_EQ(recorded->block.offsets, (std::vector<uint16_t>{0x100, 0x104, 0x108, 0x10c}));
    EXPECT_EQ(end_of(*recorded), Operation::kBranch);
    EXPECT_EQ(recorded->block.nodes.back().imm, 0x180u);
    EXPECT_EQ(recorded->block.nodes.back().other, 0x10c);
}

TEST(FrontEnd, RecordsNothingForAnInstructionThatOnlyTheInterpreterKnows) {
    Page page;
    page.put(0x100, {"ecall"});
    EXPECT_FALSE(page.record(0x100));
    page.put(0x200, {"addi a0, a0, 1", "ecall"});
    auto recorded = page.record(0x200);
    ASSERT_TRUE(recorded);
    EXPECT_EQ(end_of(*recorded), Operation::kInterpret);
    EXPECT_EQ(recorded->block.nodes.back().guest, 1);
}

TEST(FrontEnd, StopsAtThePagesEnd) {
    Page page;
    page.put(0xff8, {"addi a0, a0, 1", "addi a0, a0, 1"});
    auto recorded = page.record(0xff8);
    ASSERT_TRUE(recorded);
    EXPECT_EQ(recorded->bytes, 8u);
    EXPECT_EQ(end_of(*recorded), Operation::kJump);
    EXPECT_EQ(recorded->block.nodes.back().imm, 0x1000u);
    // An instruction of four bytes of which two are here.
    page.put(0xffa, {"addi a0, a0, 1"});
    page.put(0xffe, uint32_t{0x0513'0003});
    recorded = page.record(0xffa);
    ASSERT_TRUE(recorded);
    EXPECT_EQ(recorded->bytes, 4u);
    EXPECT_EQ(recorded->block.nodes.back().imm, 0xffeu);
    EXPECT_FALSE(page.record(0xffe));
}

TEST(FrontEnd, RecordsNoMoreThanABlockHolds) {
    Page page;
    for (uint16_t at = 0; at < 0x800; at += 4) page.put(at, {"addi a0, a0, 1"});
    auto recorded = page.record(0);
    ASSERT_TRUE(recorded);
    EXPECT_EQ(recorded->block.count(), doppel::translate::kMaxBlockInstructions);
    EXPECT_EQ(recorded->block.nodes.back().imm, uint64_t{4} * doppel::translate::kMaxBlockInstructions);
}

TEST(FrontEnd, LeavesFloatToTheInterpreterWhileItIsOff) {
    Page page;
    page.put(0, {"fadd.d fa0, fa1, fa2", "jalr zero, 0(ra)"});
    EXPECT_FALSE(page.record(0, {.float_enabled = false}));
    EXPECT_TRUE(page.record(0, {.float_enabled = true}));
    constexpr uint8_t kReserved = 5;
    EXPECT_FALSE(page.record(0, {.float_enabled = true, .rounding = kReserved})) << "fadd.d asks for the dynamic one";
}

// Every line of the table, with random operands, in every mode.
TEST(FrontEnd, RecordsBlocksThatVerify) {
    constexpr unsigned kEach = 40;
    doppel::translate::Choices choices(3);
    for (size_t i = 0; i + 1 < isa::riscv::kInstructionCount; i++) {
        const isa::riscv::InstructionInfo& info = isa::riscv::info(static_cast<InstructionId>(i));
        for (unsigned n = 0; n < kEach; n++) {
            auto bits = static_cast<uint32_t>((choices.word() & ~info.mask) | info.match);
            Page page;
            page.put(0x100, uint32_t{bits});
            // Something before, so that the block is not empty, and behind, which uses what may be known.
            page.put(0x0fc, {"addi a0, a1, 3"});
            page.put(static_cast<uint16_t>(0x100 + info.length),
                     {"add a0, a0, a1", "sd a0, 0(sp)", "jalr zero, 0(ra)"});
            CodeMode mode{choices.one_in(4) == false, static_cast<uint8_t>(choices.below(8))};
            auto recorded = page.record(0x0fc, mode);
            ASSERT_TRUE(recorded);
            auto verified = verify(recorded->block);
            ASSERT_TRUE(verified) << info.name << ": " << verified.error().message() << "\n" << print(recorded->block);
            ASSERT_LE(recorded->bytes, 4u + info.length + 12u);
        }
    }
}

// Bytes that are no instructions too.
TEST(FrontEnd, RecordsRandomBytesIntoBlocksThatVerify) {
    constexpr unsigned kTrials = 3000;
    doppel::translate::Choices choices(4);
    for (unsigned n = 0; n < kTrials; n++) {
        Page page;
        auto start = static_cast<uint16_t>(2 * choices.below(Page::kBytes / 2));
        for (unsigned at = start; at + 4 <= Page::kBytes && at < start + 256u; at += 4) {
            page.put(size_t{at}, static_cast<uint32_t>(choices.word()) | (choices.one_in(2) ? 3 : 0));
        }
        auto recorded = page.record(start, {.float_enabled = true});
        if (!recorded) continue;
        auto verified = verify(recorded->block);
        ASSERT_TRUE(verified) << verified.error().message() << "\n" << print(recorded->block);
    }
}

}  // namespace
}  // namespace doppel::cpu::translate
