#include "device/cfi_flash.h"

#include <gtest/gtest.h>

#include "device/device_testing.h"

namespace doppel::device {
namespace {

constexpr uint64_t kBase = 0x2000'0000, kSize = 4 * CfiFlash::kBlockSize, kBlock = CfiFlash::kBlockSize;
constexpr uint64_t kReady = 0x0080'0080;

struct RecordedStore final : FlashStore {
    bool keep(uint64_t offset, std::span<const uint8_t> content) override {
        kept.push_back({offset, content.size()});
        last.assign(content.begin(), content.end());
        return works;
    }
    std::vector<std::pair<uint64_t, size_t>> kept;
    std::vector<uint8_t> last;
    bool works = true;
};

class CfiFlashTest : public testing::Test {
  protected:
    CfiFlashTest() : region_(**memory_.add_code_region(kBase, kSize)), flash_({region_, &store_}) {
        std::fill_n(region_.host, kSize, 0xff);
        EXPECT_TRUE(memory_.collect_dirty().empty());
    }
    uint64_t read(uint64_t offset, unsigned bytes = 4) { return flash_.read(offset, bytes); }
    // To both chips.
    void command(uint64_t offset, uint64_t value) { flash_.write(offset, 4, value << 16 | value); }
    void program(uint64_t offset, uint64_t value) {
        command(offset, 0x40);
        flash_.write(offset, 4, value);
    }
    void buffered(uint64_t offset, const std::vector<uint32_t>& words) {
        command(offset, 0xe8);
        command(offset, words.size() - 1);
        for (size_t i = 0; i < words.size(); i++) flash_.write(offset + 4 * i, 4, words[i]);
        command(offset, 0xd0);
    }
    void erase(uint64_t offset) {
        command(offset, 0x20);
        command(offset, 0xd0);
    }
    uint64_t array(uint64_t offset, unsigned bytes = 4) {
        command(0, 0xff);
        return read(offset, bytes);
    }

    memory::GuestMemory memory_;
    const memory::Region& region_;
    RecordedStore store_;
    CfiFlash flash_;
};

TEST_F(CfiFlashTest, ReadsItsContentInEachWidth) {
    for (uint8_t i = 0; i < 8; i++) region_.host[64 + i] = static_cast<uint8_t>(i + 1);
    EXPECT_EQ(read(64, 8), 0x0807060504030201u);
    EXPECT_EQ(read(68, 4), 0x08070605u);
    EXPECT_EQ(read(66, 2), 0x0403u);
    EXPECT_EQ(read(65, 1), 2u);
    EXPECT_EQ(read(kSize - 8, 8), UINT64_MAX);
}

TEST_F(CfiFlashTest, AnswersTheCommonFlashInterfaceQueryFromBothChips) {
    command(0x55 * 4, 0x98);
    const auto answer = [&](uint64_t word) {
        const uint64_t both = read(word * 4);
        EXPECT_EQ(both >> 16, both & 0xffff);
        return both & 0xffff;
    };
    EXPECT_EQ(answer(0x10), 'Q');
    EXPECT_EQ(answer(0x11), 'R');
    EXPECT_EQ(answer(0x12), 'Y');
    EXPECT_EQ(answer(0x13), 1u);  // Intel/Sharp extended
    const uint64_t primary = answer(0x15);
    EXPECT_EQ(answer(primary), 'P');
    EXPECT_EQ(answer(primary + 1), 'R');
    EXPECT_EQ(answer(primary + 2), 'I');
    EXPECT_EQ(uint64_t{1} << answer(0x27), kSize / 2);
    EXPECT_EQ(answer(0x2c), 1u);
    EXPECT_EQ((answer(0x2d) | answer(0x2e) << 8) + 1, kSize / kBlock);
    EXPECT_EQ((answer(0x2f) | answer(0x30) << 8) * 256, kBlock / 2);
    EXPECT_EQ(answer(0x40), 0u);
    // A byte bus sees each chip's low byte, then its high one.
    EXPECT_EQ(read(0x10 * 4, 1), 'Q');
    EXPECT_EQ(read(0x10 * 4 + 1, 1), 0u);
    EXPECT_EQ(read(0x10 * 4 + 2, 1), 'Q');
    EXPECT_EQ(array(0x40), 0xffffffffu);
}

// So that misaligned loads and the code's own constants work, and DMA.
TEST_F(CfiFlashTest, IsReadAsMemoryWhileItReadsAsAnArray) {
    region_.host[5] = 7;
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 5), 7);
    command(0, 0x70);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 5), std::nullopt);
    const auto state = saved(flash_);
    command(0, 0xff);
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 5), 7);
    ASSERT_TRUE(restore(flash_, state));
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 5), std::nullopt);
    flash_.reset();
    EXPECT_EQ(memory_.load<uint8_t>(kBase + 5), 7);
}

TEST_F(CfiFlashTest, IdentifiesItself) {
    command(0, 0x90);
    EXPECT_EQ(read(0), 0x00890089u);
    EXPECT_EQ(read(4), 0x00180018u);
    EXPECT_EQ(read(8), 0u);  // unlocked
    EXPECT_EQ(read(0x40), 0u);
}

TEST_F(CfiFlashTest, ProgrammingClearsBits) {
    program(kBlock + 8, 0x0ff0'1234);
    EXPECT_EQ(read(0), kReady);
    EXPECT_EQ(array(kBlock + 8), 0x0ff0'1234u);
    program(kBlock + 8, 0xf0ff'ffff);
    EXPECT_EQ(array(kBlock + 8), 0x00f0'1234u);
    EXPECT_EQ(memory_.collect_dirty(), std::vector<uint64_t>{kBase + kBlock});
    EXPECT_EQ(store_.kept.back(), std::pair(kBlock + 8, size_t{4}));
    EXPECT_EQ(store_.last, (std::vector<uint8_t>{0x34, 0x12, 0xf0, 0x00}));
    // A narrow write programs what it covers.
    command(0, 0x10);
    flash_.write(2, 1, 0);
    EXPECT_EQ(array(0), 0xff00ffffu);
}

TEST_F(CfiFlashTest, ErasingSetsABlock) {
    for (uint64_t offset : {kBlock - 4, kBlock, 2 * kBlock - 4, 2 * kBlock}) program(offset, 0);
    erase(kBlock + 100);
    EXPECT_EQ(read(0), kReady);
    EXPECT_EQ(array(kBlock - 4), 0u);
    EXPECT_EQ(array(kBlock), 0xffffffffu);
    EXPECT_EQ(array(2 * kBlock - 4), 0xffffffffu);
    EXPECT_EQ(array(2 * kBlock), 0u);
    EXPECT_EQ(store_.kept.back(), std::pair(kBlock, size_t{kBlock}));
}

TEST_F(CfiFlashTest, ProgramsItsBufferAtOnce) {
    std::vector<uint32_t> words;
    for (uint32_t i = 0; i < 512; i++) words.push_back(i * 0x01010101u);
    command(kBlock, 0xe8);
    EXPECT_EQ(read(0), kReady);
    command(kBlock, 0xff);  // as a count: 256 words
    EXPECT_EQ(read(0), kReady);
    for (uint32_t i = 0; i < 256; i++) flash_.write(kBlock + 4 * i, 4, words[i]);
    EXPECT_EQ(region_.host[kBlock + 4], 0xff) << "not before it is confirmed";
    command(kBlock, 0xd0);
    EXPECT_EQ(array(kBlock + 4 * 255), words[255]);
    EXPECT_EQ(store_.kept, (std::vector<std::pair<uint64_t, size_t>>{{kBlock, 1024}}));
    buffered(2 * kBlock, words);
    EXPECT_EQ(array(2 * kBlock + 4 * 511), words[511]);
    // In any order inside the buffer, from its first write on.
    command(0x80, 0xe8);
    command(0x80, 1);
    flash_.write(0x80, 4, 1);
    flash_.write(0x84, 4, 2);
    command(0x80, 0xd0);
    EXPECT_EQ(array(0x80, 8), 0x0000'0002'0000'0001u);
}

TEST_F(CfiFlashTest, SaysThatASequenceIsWrong) {
    constexpr uint64_t kSequenceError = 0x00b0'00b0;
    const auto expect_refused = [&] {
        EXPECT_EQ(read(0), kSequenceError);
        command(0, 0x50);
        EXPECT_EQ(read(0), kReady);
    };
    command(0, 0x20), command(0, 0xff);  // an erase that is not confirmed
    expect_refused();
    command(0, 0x60), command(0, 0x77);  // no such lock
    expect_refused();
    command(0, 0xe8), command(0, 512);  // larger than the buffer
    expect_refused();
    command(0, 0xe8), command(0, 1), flash_.write(0, 4, 0), flash_.write(8, 4, 0);  // outside of it
    expect_refused();
    command(0, 0xe8), command(0, 1), flash_.write(kBlock, 4, 0);  // in another block
    expect_refused();
    command(0, 0xe8), command(0, 1), flash_.write(kBlock - 4, 4, 0);  // across the block's end
    expect_refused();
    command(0, 0xe8), command(0, 0), flash_.write(0, 4, 0), command(0, 0xff);  // not confirmed
    expect_refused();
    EXPECT_EQ(array(0, 8), UINT64_MAX);
    EXPECT_TRUE(store_.kept.empty());
}

TEST_F(CfiFlashTest, LockedBlocksStayAsTheyAre) {
    command(kBlock, 0x60), command(kBlock, 0x01);
    command(0, 0x90);
    EXPECT_EQ(read(kBlock + 8), 0x0001'0001u);
    EXPECT_EQ(read(8), 0u);
    program(kBlock, 0);
    EXPECT_EQ(read(0), 0x0092'0092u);
    command(0, 0x50);
    erase(kBlock);
    EXPECT_EQ(read(0), 0x00a2'00a2u);
    command(0, 0x50);
    buffered(kBlock, {0, 0});
    EXPECT_EQ(read(0), 0x0092'0092u);
    EXPECT_EQ(array(kBlock), 0xffffffffu);
    command(kBlock, 0x60), command(kBlock, 0xd0);
    command(0, 0x50);
    program(kBlock, 0);
    EXPECT_EQ(array(kBlock), 0u);
    // A block that is locked down is unlocked by a reset only.
    command(kBlock, 0x60), command(kBlock, 0x2f), command(kBlock, 0x60), command(kBlock, 0xd0);
    erase(kBlock);
    EXPECT_EQ(array(kBlock), 0u);
    flash_.reset();
    EXPECT_EQ(read(kBlock), 0u) << "the content stays";
    erase(kBlock);
    EXPECT_EQ(array(kBlock), 0xffffffffu);
}

TEST_F(CfiFlashTest, AReadOnlyBankIsLockedDownForever) {
    CfiFlash read_only({region_, &store_, true});
    const auto command_to = [&](uint64_t value) { read_only.write(0, 4, value << 16 | value); };
    command_to(0x60), command_to(0xd0);
    command_to(0x40), read_only.write(0, 4, 0);
    EXPECT_EQ(read_only.read(0, 4), 0x0092'0092u);
    command_to(0x90);
    EXPECT_EQ(read_only.read(8, 4), 0x0003'0003u);
    read_only.reset();
    command_to(0x20), command_to(0xd0);
    EXPECT_EQ(read_only.read(0, 4), 0x00a2'00a2u);
    EXPECT_TRUE(store_.kept.empty());
    EXPECT_EQ(region_.host[0], 0xff);
}

TEST_F(CfiFlashTest, WhatCannotBeKeptHasFailed) {
    store_.works = false;
    program(0, 0);
    EXPECT_EQ(read(0), 0x0090'0090u);
    command(0, 0x50);
    erase(0);
    EXPECT_EQ(read(0), 0x00a0'00a0u);
}

TEST_F(CfiFlashTest, IgnoresWhatItDoesNotKnow) {
    for (uint64_t value : {0x00, 0xaa, 0x55, 0xb0, 0xd0, 0xc0}) command(0, value);
    EXPECT_EQ(read(0, 8), UINT64_MAX);
    command(0, 0x98), command(0, 0xf0);
    EXPECT_EQ(read(0x40), 0xffffffffu);
    EXPECT_EQ(flash_.read(kSize, 4), 0u);
    EXPECT_EQ(flash_.read(kSize - 2, 4), 0u);
}

TEST_F(CfiFlashTest, SurvivesSaveAndRestoreAmidABuffer) {
    command(kBlock, 0x60), command(kBlock, 0x01);
    command(0, 0xe8), command(0, 1), flash_.write(0x40, 4, 0x11);
    CfiFlash other({region_, &store_});
    ASSERT_TRUE(restore(other, saved(flash_)));
    other.write(0x44, 4, 0x22);
    other.write(0, 4, 0xd000d0);
    EXPECT_EQ(other.read(0, 4), kReady);
    EXPECT_EQ(region_.host[0x40], 0x11);
    EXPECT_EQ(region_.host[0x44], 0x22);
    other.write(0, 4, 0x900090);
    EXPECT_EQ(other.read(kBlock + 8, 4), 0x0001'0001u);
    // A bank of another size has no such state.
    memory::GuestMemory memory;
    CfiFlash smaller({**memory.add_code_region(kBase, 2 * kBlock)});
    EXPECT_FALSE(restore(smaller, saved(flash_)));
}

// A command names its block; what follows counts from there.
TEST_F(CfiFlashTest, RefusesAStateWhoseCommandBeganAmidABlock) {
    constexpr uint64_t kModeStatus = 1, kExpectsCount = 2, kReadyStatus = 0x80;
    const auto state_with = [&](uint64_t target) {
        StateWriter writer;
        writer.field(1, kModeStatus), writer.field(2, kExpectsCount), writer.field(3, kReadyStatus);
        writer.field(4, target), writer.field(5, 0u), writer.field(6, 0u);
        writer.field(7, std::vector<uint8_t>{});
        writer.field(8, std::vector<uint8_t>(region_.size / kBlock));
        return writer.finish();
    };
    EXPECT_TRUE(restore(flash_, state_with(kBlock)));
    for (uint64_t target : {uint64_t{3}, kBlock + 4}) EXPECT_FALSE(restore(flash_, state_with(target))) << target;
}

}  // namespace
}  // namespace doppel::device
