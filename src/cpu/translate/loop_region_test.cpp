#include "cpu/translate/loop_region.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "isa/riscv/assemble.h"

namespace doppel::cpu::translate {
namespace {

class LoopRegionTest : public testing::Test {
  protected:
    void put(uint16_t at, const std::vector<std::string>& lines) {
        for (const std::string& line : lines) {
            auto bits = isa::riscv::assemble(line, at);
            ASSERT_TRUE(bits) << bits.error().message();
            for (unsigned i = 0; i < 4; i++) page_[at + i] = static_cast<uint8_t>(*bits >> 8 * i);
            at = static_cast<uint16_t>(at + 4);
        }
    }
    std::optional<LoopRegion> find(uint16_t offset) {
        return find_loop(page_, offset, CodeMode{.float_enabled = true});
    }
    static std::vector<uint16_t> starts(const LoopRegion& region) {
        std::vector<uint16_t> found;
        for (const RecordedBlock& recorded : region.blocks) found.push_back(recorded.block.start());
        return found;
    }
    static bool in_register(const LoopRegion& region, unsigned number) { return region.mapping.integer[number] >= 0; }

  private:
    std::array<uint8_t, 4096> page_{};
};

TEST_F(LoopRegionTest, IsABlockThatJumpsToItself) {
    put(0x100, {"addi a0, a0, 1", "bne a0, a1, 0x100"});
    auto region = find(0x100);
    ASSERT_TRUE(region);
    EXPECT_EQ(starts(*region), std::vector<uint16_t>{0x100});
}

TEST_F(LoopRegionTest, IsNoneWithoutAWayBack) {
    put(0x100, {"addi a0, a0, 1", "bne a0, a1, 0x200", "jalr zero, 0(ra)"});
    put(0x200, {"bne a0, a1, 0x200", "jalr zero, 0(ra)"});
    EXPECT_FALSE(find(0x100)) << "a loop comes later, but not back";
    EXPECT_FALSE(find(0x300)) << "no instructions at all";
}

TEST_F(LoopRegionTest, HoldsTheBlocksOnAWayBackAndNoOthers) {
    put(0x100, {"beq a0, zero, 0x140"});                    // out of the loop
    put(0x104, {"beq a1, zero, 0x110", "addi a2, a2, 1"});  // around one block
    put(0x10c, {"addi a3, a3, 1"});
    put(0x110, {"addi a0, a0, -1", "jal zero, 0x100"});
    put(0x140, {"jalr zero, 0(ra)"});
    for (uint16_t from : {0x100, 0x104, 0x108, 0x110}) {
        auto region = find(from);
        ASSERT_TRUE(region) << from;
        EXPECT_EQ(starts(*region), (std::vector<uint16_t>{0x100, 0x104, 0x108, 0x110})) << from;
    }
}

// The outer loop names registers more often than the inner one; the inner one runs more often.
TEST_F(LoopRegionTest, ChoosesTheRegistersOfTheInnerLoop) {
    std::vector<std::string> outer;
    for (const char* name : {"ra", "gp", "tp", "t0", "t1", "t2", "s1", "a6"}) {
        outer.push_back(std::string("addi ") + name + ", " + name + ", 1");
    }
    put(0x100, outer);
    put(0x120, {"addi s2, s2, 1", "add s3, s3, s2", "bne s3, s4, 0x120", "bne ra, gp, 0x100"});
    auto region = find(0x120);
    ASSERT_TRUE(region);
    EXPECT_GE(region->blocks.size(), 2u);
    for (unsigned number : {18u, 19u, 20u}) EXPECT_TRUE(in_register(*region, number)) << "x" << number;
}

TEST_F(LoopRegionTest, KeepsCanonicalRegistersThatItUsesInTheirPlaces) {
    put(0x100, {"add a0, a0, a1", "add s5, s5, a0", "bne s5, a2, 0x100"});
    auto region = find(0x100);
    ASSERT_TRUE(region);
    constexpr auto kCanonical = doppel::translate::x86::canonical_mapping();
    for (unsigned number : {10u, 11u, 12u}) {
        EXPECT_EQ(region->mapping.integer[number], kCanonical.integer[number]) << "x" << number;
    }
    EXPECT_TRUE(in_register(*region, 21));
}

TEST_F(LoopRegionTest, GivesEachHostRegisterToOneGuestRegister) {
    put(0x100, {"fadd.d fa0, fa1, fa2", "fmul.d ft0, ft1, ft2", "add s5, s5, s6", "add s7, s7, s8", "add t3, t3, t4",
                "add t5, t5, t6", "add a6, a6, a7", "bne s5, a2, 0x100"});
    auto region = find(0x100);
    ASSERT_TRUE(region);
    for (const auto& registers : {region->mapping.integer, region->mapping.floating}) {
        std::set<int> seen;
        for (int8_t host : registers) {
            if (host >= 0) {
                EXPECT_TRUE(seen.insert(host).second) << int{host};
            }
        }
    }
    EXPECT_LT(region->mapping.integer[0], 0);
    for (unsigned number : {0u, 1u, 2u, 10u, 11u, 12u}) EXPECT_GE(region->mapping.floating[number], 0) << "f" << number;
}

TEST_F(LoopRegionTest, IsBounded) {
    // A loop of every block of the page.
    for (uint16_t at = 0; at < 4092; at += 4) put(at, {"beq a0, a1, " + std::to_string(at + 4)});
    put(4092, {"jal zero, 0"});
    EXPECT_FALSE(find(0));
}

}  // namespace
}  // namespace doppel::cpu::translate
