// What the cache of translations makes of changes to the guest's code.
#include <gtest/gtest.h>

#include "cpu/interpret/program_machine.h"
#include "cpu/translate/code_cache.h"

namespace doppel::cpu::translate {
namespace {

constexpr CodeMode kMode{};

class CodeChanges : public testing::Test {
  protected:
    static constexpr uint64_t kCode = interpret::ProgramMachine::kRam + 0x200000, kPage = 0x1000;

    CodeChanges() {
        auto made = CodeCache::create(size_t{1} << 20);
        EXPECT_TRUE(made) << made.error().message();
        cache = std::move(*made);
        cache->start_thread();
        hart.executing.store(true);
        cache->join(hart);
        for (uint64_t page = 0; page < 4; page++) {
            for (uint64_t at = 0; at < 4; at++) put_block(kCode + page * kPage + at * 0x40);
        }
    }
    ~CodeChanges() override { cache->leave(hart); }

    void put_block(uint64_t at) { machine.put(at, {"addi a0, a0, 1", "jalr zero, 0(ra)"}); }
    const memory::Region& ram() { return *machine.memory.find(kCode, 1); }
    uint8_t* host(uint64_t physical) { return ram().host + (physical - ram().base); }
    const uint8_t* translate(uint64_t physical) {
        const uint8_t* code = cache->translate(ram(), physical, kMode);
        hart.seen.store(cache->code_pages());
        return code;
    }
    bool is_known(uint64_t physical) { return cache->find(physical, kMode) != nullptr; }
    void change(uint64_t physical) { machine.put(physical, {"addi a0, a0, 2"}); }
    void heat(uint64_t physical) {
        cache->translate_loop({&ram(), physical, kMode});
        cache->finish_loops();
    }

    interpret::ProgramMachine machine;
    std::unique_ptr<CodeCache> cache;
    Participant hart;
};

TEST_F(CodeChanges, AreFoundAtTheFenceWhenTheyWentThroughMemory) {
    ASSERT_NE(translate(kCode), nullptr);
    ASSERT_NE(translate(kCode + 0x40), nullptr);
    ASSERT_NE(translate(kCode + kPage), nullptr);
    change(kCode);  // as a device or the slow path of a store does it
    EXPECT_TRUE(is_known(kCode)) << "until the fence the old code may run";
    cache->compare_written();
    EXPECT_FALSE(is_known(kCode));
    EXPECT_TRUE(is_known(kCode + 0x40)) << "its bytes are the same";
    EXPECT_TRUE(is_known(kCode + kPage));
    EXPECT_EQ(cache->statistics().invalidated, 1u);
    EXPECT_NE(translate(kCode), nullptr);
}

TEST_F(CodeChanges, ThatAreUndoneBeforeTheFenceCostNothing) {
    translate(kCode);
    change(kCode);
    put_block(kCode);
    cache->compare_written();
    EXPECT_TRUE(is_known(kCode));
}

TEST_F(CodeChanges, WithoutCodeLeftLetThePageBeWrittenQuickly) {
    translate(kCode);
    EXPECT_TRUE(memory::GuestMemory::holds_code(ram(), kCode));
    change(kCode);
    cache->compare_written();
    EXPECT_FALSE(memory::GuestMemory::holds_code(ram(), kCode));
}

TEST_F(CodeChanges, ByAHartThatStillHasAWriteEntryAreFound) {
    Participant other;
    other.executing.store(true);
    cache->join(other);
    translate(kCode);
    std::memcpy(host(kCode), host(kCode + 0x44), 4);  // nobody notes it
    cache->compare_written();
    EXPECT_FALSE(is_known(kCode));
    cache->leave(other);
}

TEST_F(CodeChanges, ByAHartThatHasDroppedItsWriteEntrySinceAreFound) {
    Participant other;
    other.executing.store(true);
    cache->join(other);
    translate(kCode);
    cache->compare_written();
    ASSERT_TRUE(is_known(kCode));
    std::memcpy(host(kCode), host(kCode + 0x44), 4);
    other.seen.store(cache->code_pages());
    cache->compare_written();
    EXPECT_FALSE(is_known(kCode));
    cache->leave(other);
}

TEST_F(CodeChanges, OfAHartThatHasStoppedAreFound) {
    Participant other;
    other.executing.store(true);
    cache->join(other);
    translate(kCode);
    std::memcpy(host(kCode), host(kCode + 0x44), 4);
    other.executing.store(false);
    cache->compare_written();
    EXPECT_FALSE(is_known(kCode));
    cache->leave(other);
}

TEST_F(CodeChanges, ThatComeTooOftenEndTheTranslationOfThePageUntilTheNextFence) {
    constexpr int kMany = 10'000;
    translate(kCode);
    translate(kCode + kPage);
    for (int i = 0; i < kMany; i++) cache->note_write(kCode + 0x800);
    EXPECT_FALSE(is_known(kCode));
    EXPECT_EQ(translate(kCode), nullptr);
    EXPECT_FALSE(memory::GuestMemory::holds_code(ram(), kCode)) << "writes are quick again";
    EXPECT_TRUE(is_known(kCode + kPage));
    cache->compare_written();
    EXPECT_NE(translate(kCode), nullptr);
    EXPECT_TRUE(memory::GuestMemory::holds_code(ram(), kCode));
}

TEST_F(CodeChanges, OfOneBlockOfALoopDropTheLoop) {
    constexpr uint64_t kLoop = kCode + 0x400;
    machine.put(kLoop, {"addi a0, a0, 1", "beq a0, a1, " + std::to_string(kLoop + 12), "addi a2, a2, 3"});
    machine.put(kLoop + 12, {"jal zero, " + std::to_string(kLoop)});
    ASSERT_NE(translate(kLoop), nullptr);
    ASSERT_NE(translate(kCode), nullptr);
    heat(kLoop);
    ASSERT_EQ(cache->statistics().regions, 1u);
    EXPECT_TRUE(is_known(kLoop + 8));
    machine.put(kLoop + 8, {"addi a2, a2, 4"});
    cache->compare_written();
    EXPECT_FALSE(is_known(kLoop)) << "its code goes on to the old one of the other block";
    EXPECT_FALSE(is_known(kLoop + 8));
    EXPECT_TRUE(is_known(kCode));
}

// Two loops that share a block, each so long that the other does not fit beside it.
TEST_F(CodeChanges, OfABlockThatTwoLoopsHoldDropBoth) {
    constexpr uint64_t kShared = kCode + 0x400, kFirst = kShared + 4, kSecond = kCode + 0x800;
    constexpr uint64_t kChain = 20;
    machine.put(kShared, {"beq a0, a1, " + std::to_string(kSecond)});
    const uint8_t* shared = nullptr;
    for (uint64_t start : {kFirst, kSecond}) {
        for (uint64_t i = 0; i < kChain; i++) {
            uint64_t at = start + 4 * i;
            machine.put(at, {"beq a2, a3, " + std::to_string(at + 4)});
        }
        machine.put(start + 4 * kChain, {"jal zero, " + std::to_string(kShared)});
        ASSERT_NE(translate(start), nullptr);
        heat(start);
        if (shared == nullptr) shared = cache->find(kShared, kMode);
    }
    ASSERT_EQ(cache->statistics().regions, 2u);
    ASSERT_EQ(cache->find(kShared, kMode), shared) << "harts may be anywhere in the first loop's code";
    machine.put(kShared, {"bne a0, a1, " + std::to_string(kSecond)});
    cache->compare_written();
    EXPECT_FALSE(is_known(kShared));
    EXPECT_FALSE(is_known(kFirst));
    EXPECT_FALSE(is_known(kSecond));
}

TEST_F(CodeChanges, OfEitherHalfOfAnInstructionDropItWhereverItEnds) {
    constexpr uint64_t kFirst = kCode + kPage - 2, kSecond = kCode + kPage, kElsewhere = kCode + 3 * kPage;
    const Straddle here{&ram(), kFirst, &ram(), kSecond}, there{&ram(), kFirst, &ram(), kElsewhere};
    auto known = [&](const Straddle& place) { return cache->find(place, kMode) != nullptr; };
    auto put = [&](uint64_t second, const std::string& line) {
        const uint32_t bits = interpret::ProgramMachine::assemble(line);
        machine.store<uint16_t>(kFirst, static_cast<uint16_t>(bits));
        machine.store<uint16_t>(second, static_cast<uint16_t>(bits >> 16));
    };
    auto translate_both = [&] {
        put(kElsewhere, "addi a0, a0, 2");
        put(kSecond, "addi a0, a0, 1");
        const uint8_t* one = cache->translate(here, kMode);
        const uint8_t* other = cache->translate(there, kMode);
        ASSERT_TRUE(one != nullptr && other != nullptr && one != other);
        hart.seen.store(cache->code_pages());
        cache->compare_written();
        ASSERT_TRUE(known(here) && known(there));
        EXPECT_FALSE(is_known(kFirst));
    };
    translate_both();
    put(kElsewhere, "addi a0, a0, 3");
    cache->compare_written();
    EXPECT_TRUE(known(here));
    EXPECT_FALSE(known(there));
    translate_both();
    put(kSecond, "addi a1, a0, 1");  // which is another first half, too
    cache->compare_written();
    EXPECT_FALSE(known(here) || known(there));
    translate_both();
    put(kSecond, "addi a0, a0, 1");
    cache->compare_written();
    EXPECT_TRUE(known(here) && known(there)) << "nothing has changed";
}

TEST_F(CodeChanges, UndoTheLinksToWhatIsGone) {
    translate(kCode);
    const uint8_t* target = translate(kCode + 0x40);
    // A jump in code of its own, so that its bytes are known.
    machine.put(kCode + 0x200, {"jal zero, " + std::to_string(kCode + 0x40)});
    const uint8_t* from = translate(kCode + 0x200);
    ASSERT_NE(from, nullptr);
    const uint8_t* end = cache->thunk_base() + cache->host_bytes();
    const std::vector<uint8_t> before(from, end);
    constexpr size_t kDisplacement = 4;
    // The jump that is to be linked: an opcode 0xe9 before an aligned displacement.
    uint8_t* site = nullptr;
    for (const uint8_t* at = from; at + kDisplacement <= end && site == nullptr; at++) {
        bool aligned = reinterpret_cast<uintptr_t>(at) % kDisplacement == 0;
        if (aligned && at[-1] == 0xe9) site = const_cast<uint8_t*>(at);
    }
    ASSERT_NE(site, nullptr);
    cache->link(site, kCode + 0x40, kMode);
    int32_t displacement = 0;
    std::memcpy(&displacement, site, kDisplacement);
    EXPECT_EQ(site + kDisplacement + displacement, target);
    change(kCode + 0x40);
    cache->compare_written();
    EXPECT_EQ(std::vector<uint8_t>(from, end), before);
}

}  // namespace
}  // namespace doppel::cpu::translate
