#include "cpu/translate/stored_code.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/byte_order.h"
#include "base/file.h"
#include "cpu/interpret/program_machine.h"
#include "cpu/translate/code_cache.h"
#include "cpu/translate/front_end.h"
#include "cpu/translate/hart_layout.h"
#include "cpu/translate/loop_region.h"
#include "cpu/translate/translator.h"
#include "translate/x86/emitter.h"

namespace doppel::cpu::translate {
namespace {

using interpret::ProgramMachine;
namespace x86 = doppel::translate::x86;
using stored_code::Part;
using stored_code::Unit;

constexpr CodeMode kMode{true, 0};
const stored_code::Identity kIdentity{"test", "test"};

UniqueFd memory_file() {
    UniqueFd fd(memfd_create("test", MFD_CLOEXEC));
    EXPECT_TRUE(fd);
    return fd;
}

// Another descriptor of the same file.
UniqueFd twin(const UniqueFd& fd) {
    return UniqueFd(dup(fd.get()));
}

stored_code::Additions additions_of(const UniqueFd& notes) {
    const auto content = read_whole(notes.get(), "notes", uint64_t{1} << 30, "test");
    EXPECT_TRUE(content);
    return content ? read_notes(*content) : stored_code::Additions{};
}

std::vector<uint8_t> file_content(const std::vector<Unit>& units) {
    std::vector<stored_code::FileUnit> all;
    for (const Unit& unit : units) all.push_back({1, encode(unit)});
    return encode_file(kIdentity, 1, all);
}

std::optional<stored_code::File> file_of(std::span<const uint8_t> content) {
    UniqueFd fd = memory_file();
    EXPECT_TRUE(write_all(fd.get(), content));
    auto file = stored_code::File::read(std::move(fd), "test");
    EXPECT_TRUE(file) << file.error().message();
    if (!file) return std::nullopt;
    return std::move(*file);
}

class StoredCodeTest : public testing::Test {
  protected:
    static constexpr uint64_t kCode = ProgramMachine::kRam + 0x200000, kPage = 0x1000;

    StoredCodeTest() {
        machine.put(kCode, {"addi a0, a0, 1", "lw a1, 0(a0)", "fadd.d fa0, fa1, fa2", "jalr zero, 0(ra)"});
        machine.put(kCode + 0x100, {"fmadd.d fa0, fa1, fa2, fa3, rup", "amoadd.w a0, a1, (a2)", "jalr zero, 0(ra)"});
        // Two blocks around each other.
        machine.put(kLoop, {"addi a0, a0, 1", "beq a0, a1, " + text(kLoop + 0x10), "sub a2, a2, a0",
                            "jal zero, " + text(kLoop + 0x14), "jalr zero, 0(ra)", "bne a2, a3, " + text(kLoop)});
    }
    static std::string text(uint64_t number) { return std::to_string(number); }
    const memory::Region& ram() { return *machine.memory.find(kCode, 1); }
    std::unique_ptr<CodeCache> make_cache(std::shared_ptr<StoredCode> stored) {
        auto made = CodeCache::create(size_t{1} << 20, std::move(stored));
        EXPECT_TRUE(made) << made.error().message();
        return std::move(*made);
    }
    // Translates all that the constructor wrote, the loop as one.
    void translate_all(CodeCache& cache) {
        for (const uint64_t at : kBlocks) EXPECT_NE(cache.translate(ram(), at, kMode), nullptr);
        cache.translate_loop({&ram(), kLoop, kMode});
    }
    // What a machine that has done so leaves behind.
    std::vector<Unit> translated() {
        UniqueFd notes = memory_file();
        auto stored = std::make_shared<StoredCode>(std::nullopt, twin(notes));
        translate_all(*make_cache(stored));
        stored->write_notes();
        return additions_of(notes).units;
    }

    static constexpr uint64_t kLoop = kCode + 0x200;
    const std::vector<uint64_t> kBlocks{kCode, kCode + 0x100, kLoop, kLoop + 8, kLoop + 0x14};
    ProgramMachine machine;
};

TEST_F(StoredCodeTest, IsNotedAndTranslatedAgain) {
    const std::vector<Unit> units = translated();
    ASSERT_EQ(units.size(), 6u);
    for (size_t i = 0; i < 5; i++) {
        EXPECT_FALSE(units[i].is_loop);
        EXPECT_EQ(units[i].start, kBlocks[i] % kPage);
        EXPECT_EQ(units[i].mode, kMode.number());
        EXPECT_FALSE(units[i].host.empty());
    }
    EXPECT_TRUE(units[5].is_loop);
    EXPECT_EQ(units[5].start, kLoop % kPage);
    EXPECT_EQ(units[5].parts.size(), 3u);
}

// The one that keeps translations knows only their guest code, but makes the same of it.
TEST_F(StoredCodeTest, IsTheCodeThatTheMachineMade) {
    const std::span<const uint8_t> page(ram().host + (kCode - ram().base), kPage);
    const std::vector<Unit> units = translated();
    ASSERT_EQ(units.size(), 6u);
    for (size_t i = 0; i < 5; i++) {
        auto block = record_block(page, units[i].start, kMode);
        ASSERT_TRUE(block);
        x86::Emitter emitter(hart_layout(), x86::canonical_mapping());
        EXPECT_EQ(emitter.compile({&block->block, 1}).code, units[i].host) << i;
    }
    auto loop = find_loop(page, units[5].start, kMode);
    ASSERT_TRUE(loop);
    std::vector<doppel::translate::Block> blocks;
    for (RecordedBlock& recorded : loop->blocks) blocks.push_back(std::move(recorded.block));
    x86::Emitter emitter(hart_layout(), loop->mapping);
    const x86::Compiled compiled = emitter.compile(blocks);
    EXPECT_EQ(compiled.code, units[5].host);
    EXPECT_EQ(compiled.cold_at, units[5].cold_at);
    EXPECT_EQ(compiled.crossings, units[5].crossings);
}

TEST_F(StoredCodeTest, IsLoadedInsteadOfTranslated) {
    const std::vector<Unit> units = translated();
    auto cache = make_cache(std::make_shared<StoredCode>(file_of(file_content(units)), UniqueFd()));
    ASSERT_NE(cache->load(ram(), kCode, kMode), nullptr);
    constexpr size_t kUnplaced = 9;  // what does not depend on where the block's parts lie
    EXPECT_EQ(std::memcmp(cache->find(kCode, kMode), units[0].host.data() + units[0].parts[0].entry, kUnplaced), 0);
    EXPECT_TRUE(memory::GuestMemory::holds_code(ram(), kCode));
    EXPECT_NE(cache->translate(ram(), kCode + 0x100, kMode), nullptr);
    // A loop comes whole.
    ASSERT_NE(cache->load(ram(), kLoop + 8, kMode), nullptr);
    EXPECT_NE(cache->find(kLoop, kMode), nullptr);
    EXPECT_NE(cache->find(kLoop + 0x14, kMode), nullptr);
    const CacheStatistics statistics = cache->statistics();
    EXPECT_EQ(statistics.blocks, 0u);
    EXPECT_EQ(statistics.loaded_blocks, 2u);
    EXPECT_EQ(statistics.loaded_regions, 1u);
    EXPECT_EQ(cache->load(ram(), kCode + 0x800, kMode), nullptr) << "nothing was there";
    EXPECT_EQ(cache->load(ram(), kCode + 4, kMode), nullptr) << "no block began there";
}

TEST_F(StoredCodeTest, IsLoadedWhereverThePageIs) {
    auto cache = make_cache(std::make_shared<StoredCode>(file_of(file_content(translated())), UniqueFd()));
    for (uint64_t at = 0; at < kPage; at += 8)
        machine.store(kCode + 5 * kPage + at, machine.load<uint64_t>(kCode + at));
    EXPECT_NE(cache->load(ram(), kCode + 5 * kPage, kMode), nullptr);
    EXPECT_EQ(cache->find(kCode, kMode), nullptr);
    EXPECT_EQ(cache->load(ram(), kCode + 5 * kPage + 0x40, kMode), nullptr);
}

TEST_F(StoredCodeTest, IsNotLoadedForAnotherMode) {
    auto cache = make_cache(std::make_shared<StoredCode>(file_of(file_content(translated())), UniqueFd()));
    EXPECT_EQ(cache->load(ram(), kCode, CodeMode{false, 0}), nullptr);
    EXPECT_EQ(cache->load(ram(), kCode, CodeMode{true, 1}), nullptr);
}

TEST_F(StoredCodeTest, IsNotLoadedWhereAnyByteDiffers) {
    auto stored = std::make_shared<StoredCode>(file_of(file_content(translated())), UniqueFd());
    for (uint64_t at = kCode; at < kCode + 16; at++) {
        const auto before = machine.load<uint8_t>(at);
        machine.store<uint8_t>(at, before ^ 0x10);
        EXPECT_EQ(make_cache(stored)->load(ram(), kCode, kMode), nullptr) << at - kCode;
        machine.store<uint8_t>(at, before);
    }
    machine.put(kLoop + 0x14, {"bne a2, a4, " + text(kLoop)});
    auto cache = make_cache(stored);
    EXPECT_NE(cache->load(ram(), kLoop, kMode), nullptr) << "the block alone is right";
    EXPECT_EQ(cache->load(ram(), kLoop + 0x14, kMode), nullptr);
    EXPECT_EQ(cache->statistics().loaded_regions, 0u);
}

TEST_F(StoredCodeTest, IsDroppedWhenTheGuestChangesItAndTakenAgainWhenItIsBack) {
    auto cache = make_cache(std::make_shared<StoredCode>(file_of(file_content(translated())), UniqueFd()));
    ASSERT_NE(cache->load(ram(), kLoop, kMode), nullptr);
    ASSERT_NE(cache->load(ram(), kCode, kMode), nullptr);
    machine.put(kLoop, {"addi a0, a0, 2"});
    cache->compare_written();
    EXPECT_EQ(cache->find(kLoop, kMode), nullptr);
    EXPECT_EQ(cache->find(kLoop + 0x14, kMode), nullptr) << "the blocks of a loop go together";
    EXPECT_NE(cache->find(kCode, kMode), nullptr);
    EXPECT_EQ(cache->load(ram(), kLoop, kMode), nullptr);
    machine.put(kLoop, {"addi a0, a0, 1"});
    cache->compare_written();
    EXPECT_NE(cache->load(ram(), kLoop, kMode), nullptr);
}

TEST_F(StoredCodeTest, NotesWhatWasTaken) {
    const std::vector<Unit> units = translated();
    UniqueFd notes = memory_file();
    auto stored = std::make_shared<StoredCode>(file_of(file_content(units)), twin(notes));
    auto cache = make_cache(stored);
    ASSERT_NE(cache->load(ram(), kCode, kMode), nullptr);
    ASSERT_NE(cache->translate(ram(), kCode + 4, kMode), nullptr);
    stored->write_notes();
    const stored_code::Additions additions = additions_of(notes);
    EXPECT_EQ(additions.used, std::unordered_set<uint64_t>{key_of(units[0])});
    ASSERT_EQ(additions.units.size(), 1u);
    EXPECT_EQ(additions.units[0].start, 4);
}

TEST_F(StoredCodeTest, ThatIsDamagedIsNotUsedAnyMore) {
    std::vector<uint8_t> content = file_content(translated());
    content.back() ^= 1;
    auto stored = std::make_shared<StoredCode>(file_of(content), UniqueFd());
    auto cache = make_cache(stored);
    ASSERT_NE(cache->load(ram(), kCode, kMode), nullptr);
    testing::internal::CaptureStderr();
    EXPECT_EQ(cache->load(ram(), kLoop, kMode), nullptr) << "the loop is the last unit";
    EXPECT_EQ(cache->load(ram(), kCode + 0x100, kMode), nullptr);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(std::ranges::count(said, '\n'), 1) << said;
    EXPECT_NE(cache->translate(ram(), kLoop, kMode), nullptr);
}

TEST_F(StoredCodeTest, WaitsForRoomLikeOther) {
    auto stored = std::make_shared<StoredCode>(file_of(file_content(translated())), UniqueFd());
    auto cache = make_cache(stored);
    Participant hart;
    cache->join(hart);
    ASSERT_TRUE(cache->enter(hart));
    // Fills the cache with what is loaded for page after page, until there is no room.
    uint64_t page = kCode;
    for (; page + kPage < ProgramMachine::kRamEnd; page += kPage) {
        std::memcpy(ram().host + (page - ram().base), ram().host + (kCode - ram().base), kPage);
        bool whole = true;
        for (const uint64_t at : kBlocks) whole = cache->load(ram(), page + at % kPage, kMode) != nullptr && whole;
        if (!whole) break;
    }
    ASSERT_LT(page + kPage, ProgramMachine::kRamEnd);
    EXPECT_EQ(cache->statistics().flushes, 0u);
    EXPECT_NE(cache->find(kCode, kMode), nullptr);
    CodeCache::exit(hart);
    EXPECT_FALSE(cache->enter(hart));
    EXPECT_EQ(cache->statistics().flushes, 1u);
    EXPECT_NE(cache->load(ram(), kCode, kMode), nullptr);
    cache->leave(hart);
}

// An instruction that crosses into the next page ends a block, and is none of its bytes.
TEST_F(StoredCodeTest, BeforeAnInstructionThatCrossesThePagesEndIsTranslatedAgain) {
    constexpr uint64_t kEnd = kCode + kPage;
    machine.put(kEnd - 6, {"addi a0, a0, 1"});
    machine.put(kEnd - 2, {"addi a1, a1, 1"});
    UniqueFd notes = memory_file();
    auto stored = std::make_shared<StoredCode>(std::nullopt, twin(notes));
    auto cache = make_cache(stored);
    ASSERT_NE(cache->translate(ram(), kEnd - 6, kMode), nullptr);
    stored->write_notes();
    const auto units = additions_of(notes).units;
    ASSERT_EQ(units.size(), 1u);
    EXPECT_EQ(units[0].parts[0].bytes, 4);
}

TEST_F(StoredCodeTest, NotesThatMakeNoSenseAreLeftOut) {
    const auto retranslated = [](Unit unit) { return retranslate(unit).has_value(); };
    Unit unit = translated()[0];
    unit.host.clear();
    unit.cold_at = 0;
    unit.crossings.clear();
    unit.parts[0].entry = 0;
    ASSERT_TRUE(retranslated(unit));
    Unit other = unit;
    other.mode = 0xf1;
    EXPECT_FALSE(retranslated(other));
    other = unit;
    other.parts[0].bytes = 12;  // the block goes on behind it
    other.guest.resize(12);
    EXPECT_FALSE(retranslated(other));
    other = unit;
    other.is_loop = true;
    EXPECT_FALSE(retranslated(other));
    other = unit;
    other.guest.assign(other.guest.size(), 0);
    EXPECT_FALSE(retranslated(other));
    std::vector<uint8_t> notes(1000, 0x11);
    EXPECT_TRUE(read_notes(notes).units.empty());
    // What a machine that was killed left half written is dropped.
    const std::vector<uint8_t> bytes = encode(unit);
    notes.assign(4, 0);
    store_le(notes.data(), static_cast<uint32_t>(bytes.size()));
    notes.insert(notes.end(), bytes.begin(), bytes.end());
    EXPECT_EQ(read_notes(notes).units.size(), 1u);
    for (size_t length = 0; length < notes.size(); length++) {
        EXPECT_TRUE(read_notes(std::span(notes).first(length)).units.empty()) << length;
    }
}

TEST_F(StoredCodeTest, IsForThisBuildAndProcessorAndInstructionSet) {
    const auto here = stored_configuration("riscv64, vlen 0");
    ASSERT_TRUE(here);
    EXPECT_EQ(here, stored_configuration("riscv64, vlen 0"));
    EXPECT_NE(here, stored_configuration("riscv64, vlen 128"));
    EXPECT_NE(here, stored_configuration("riscv64, vlen 0", {.windows = false}));
    EXPECT_EQ(here->find("build "), 0u);
    EXPECT_NE(here->find("x86-64 host 0x"), std::string::npos);
}

// The same program by two engines, of which the second one finds what the first has left.
TEST_F(StoredCodeTest, ComputesTheSameAsBefore) {
    UniqueFd notes = memory_file();
    const auto run = [&](std::shared_ptr<StoredCode> stored, uint64_t& translations) {
        ProgramMachine board;
        auto engine = Translator::create({.cache_bytes = size_t{1} << 20, .stored = stored, .hot = 2});
        EXPECT_TRUE(engine);
        board.vcpu = (*engine)->make_vcpu({board.hart, board.memory, board.bus, board.time});
        board.x("a0") = 100000;
        board.execute({"addi a1, zero, 0", "add a1, a1, a0", "mul a2, a1, a0", "xor a3, a3, a2", "andi a4, a0, 7",
                       "bne a4, zero, " + text(ProgramMachine::kCode + 0x20), "addi a5, a5, 3", "addi a6, a6, 1",
                       "addi a0, a0, -1", "bne a0, zero, " + text(ProgramMachine::kCode + 4)});
        Statistics statistics;
        (*engine)->add_statistics(statistics);
        translations = statistics.count("blocks_translated");
        stored->write_notes();
        return std::vector<uint64_t>{board.x("a1"), board.x("a2"), board.x("a3"),
                                     board.x("a5"), board.x("a6"), board.hart.retired};
    };
    uint64_t first = 0, second = 0;
    const auto expected = run(std::make_shared<StoredCode>(std::nullopt, twin(notes)), first);
    EXPECT_GT(first, 0u);
    const auto again =
        run(std::make_shared<StoredCode>(file_of(file_content(additions_of(notes).units)), UniqueFd()), second);
    EXPECT_EQ(again, expected);
    EXPECT_EQ(second, 0u);
}

}  // namespace
}  // namespace doppel::cpu::translate
