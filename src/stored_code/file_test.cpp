#include "stored_code/file.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "stored_code/test_units.h"

namespace doppel::stored_code {
namespace {

const Identity kIdentity{"a configuration", "a guest"};

UniqueFd with_content(std::span<const uint8_t> bytes) {
    UniqueFd fd(memfd_create("test", MFD_CLOEXEC));
    EXPECT_TRUE(fd && write_all(fd.get(), bytes));
    return fd;
}

std::vector<uint8_t> file_of(const std::vector<Unit>& units) {
    std::vector<FileUnit> all;
    for (const Unit& unit : units) all.push_back({7, encode(unit)});
    return encode_file(kIdentity, 9, all);
}

Result<File> read(std::span<const uint8_t> bytes) {
    return File::read(with_content(bytes), "test.code");
}

std::vector<Unit> some_units(const Page& page) {
    return {test_unit(page, {{16, 8}}), test_unit(page, {{16, 12}}, 5), test_unit(page, {{40, 8}}),
            test_unit(page, {{40, 8}, {100, 40}}), test_unit(page, {{4094, 2}})};
}

TEST(StoredFile, GivesBackWhatWasWritten) {
    const Page page = test_page(1);
    const std::vector<Unit> units = some_units(page);
    auto file = read(file_of(units));
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(file->identity(), kIdentity);
    EXPECT_EQ(file->generation(), 9u);
    ASSERT_EQ(file->count(), units.size());
    Unit again;
    for (size_t i = 0; i < units.size(); i++) {
        EXPECT_EQ(file->read_unit(i), units[i]);
        EXPECT_TRUE(file->read_unit(i, again));
        EXPECT_EQ(again, units[i]);
        EXPECT_EQ(file->key(i), key_of(units[i]));
        EXPECT_EQ(file->last_used(i), 7u);
    }
}

TEST(StoredFile, FindsTheUnitForAPlaceAndAMode) {
    const Page page = test_page(1);
    const auto file = read(file_of(some_units(page)));
    ASSERT_TRUE(file);
    EXPECT_EQ(file->find(page, 16, 1), 0u);
    EXPECT_EQ(file->find(page, 16, 5), 1u);
    EXPECT_EQ(file->find(page, 40, 1), 3u) << "the loop is the larger one";
    EXPECT_EQ(file->find(page, 100, 1), 3u);
    EXPECT_EQ(file->find(page, 4094, 1), 4u);
    EXPECT_FALSE(file->find(page, 16, 2));
    EXPECT_FALSE(file->find(page, 18, 1));
    EXPECT_FALSE(file->find(page, 0, 1));
}

TEST(StoredFile, FindsNothingWhereOneByteDiffers) {
    Page page = test_page(1);
    const auto file = read(file_of(some_units(page)));
    ASSERT_TRUE(file);
    for (size_t at = 16; at < 24; at++) {
        page[at] ^= 4;
        EXPECT_FALSE(file->find(page, 16, 1)) << at;
        page[at] ^= 4;
    }
    page[139] ^= 4;
    EXPECT_EQ(file->find(page, 40, 1), 2u) << "the block alone is still right";
    EXPECT_FALSE(file->find(page, 100, 1));
    EXPECT_FALSE(file->find(test_page(2), 40, 1));
}

TEST(StoredFile, WithoutUnitsIsOneToo) {
    const auto file = read(file_of({}));
    ASSERT_TRUE(file);
    EXPECT_EQ(file->count(), 0u);
    EXPECT_FALSE(file->find(test_page(1), 0, 1));
}

TEST(StoredFile, CutShortAnywhereIsRefused) {
    const std::vector<uint8_t> bytes = file_of(some_units(test_page(1)));
    for (size_t length = 0; length < bytes.size(); length++) {
        EXPECT_FALSE(read(std::span(bytes).first(length))) << length;
    }
}

TEST(StoredFile, OneFlippedBitIsNoticedWhereverItIs) {
    const std::vector<Unit> units = some_units(test_page(1));
    std::vector<uint8_t> bytes = file_of(units);
    for (size_t bit = 0; bit < bytes.size() * 8; bit++) {
        bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
        auto file = read(bytes);
        size_t right = 0;
        Unit again;
        for (size_t i = 0; file && i < units.size(); i++) {
            const auto unit = file->read_unit(i);
            EXPECT_EQ(file->read_unit(i, again), unit.has_value()) << bit;
            EXPECT_TRUE(!unit || again == *unit) << bit;
            EXPECT_TRUE(!unit || unit == units[i]) << bit;
            right += unit ? 1 : 0;
        }
        EXPECT_LT(right, units.size()) << bit;
        bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    }
}

TEST(StoredFile, ThatIsCutShortWhileItIsReadGivesNoUnit) {
    const std::vector<uint8_t> bytes = file_of(some_units(test_page(1)));
    UniqueFd fd = with_content(bytes);
    const int same = fd.get();
    auto file = File::read(std::move(fd), "test.code");
    ASSERT_TRUE(file);
    ASSERT_EQ(ftruncate(same, static_cast<off_t>(bytes.size() - 1)), 0);
    EXPECT_TRUE(file->read_unit(0));
    EXPECT_FALSE(file->read_unit(file->count() - 1));
    Unit unit;
    EXPECT_FALSE(file->read_unit(file->count() - 1, unit));
}

TEST(StoredFile, GivesUnitsInAnyOrder) {
    std::vector<Unit> units;
    for (uint32_t seed = 0; seed < 2000; seed++) {
        units.push_back(test_unit(test_page(seed), {{static_cast<uint16_t>(seed % 100 * 2), 600}, {2000, 2}}));
        units.back().host.resize(20 + seed % 700, static_cast<uint8_t>(seed));
    }
    auto file = read(file_of(units));
    ASSERT_TRUE(file);
    Unit unit;
    for (size_t i = 0; i < units.size(); i++) {
        const size_t number = i * 1237 % units.size();
        ASSERT_TRUE(file->read_unit(number, unit)) << number;
        EXPECT_EQ(unit, units[number]) << number;
    }
}

TEST(StoredFile, OfAnotherVersionIsRefusedByThatReason) {
    std::vector<uint8_t> bytes = file_of({});
    bytes[8] = 2;
    const auto file = read(bytes);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().why, "another version of doppel wrote it");
}

}  // namespace
}  // namespace doppel::stored_code
