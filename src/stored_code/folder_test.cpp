#include "stored_code/folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>

#include "base/file.h"
#include "base/temporary_folder.h"
#include "stored_code/test_units.h"

namespace doppel::stored_code {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLimit = uint64_t{1} << 30;
const Identity kIdentity{"a configuration", "a guest"};

class StoredFolder : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(folder_.prepare(0)); }
    size_t count_units(const Identity& identity = kIdentity) const {
        const auto file = folder_.open(identity);
        EXPECT_TRUE(file) << file.error().message();
        return file && *file ? (*file)->count() : 0;
    }
    void age(const fs::path& path, int seconds) const {
        const auto then = fs::last_write_time(path) - std::chrono::seconds(seconds);
        fs::last_write_time(path, then);
    }

    TemporaryFolder temporary_;
    Folder folder_{temporary_ / "cache" / "translations"};
};

TEST_F(StoredFolder, IsMadeForItsOwnerOnly) {
    EXPECT_EQ(fs::status(folder_.path()).permissions(), fs::perms::owner_all);
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 100), {}}, kLimit));
    EXPECT_EQ(fs::status(folder_.path_of(kIdentity)).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(StoredFolder, KeepsWhatIsSaved) {
    EXPECT_EQ(count_units(), 0u);
    const Page page = test_page(1);
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(page, 100), {}}, kLimit));
    const auto file = folder_.open(kIdentity);
    ASSERT_TRUE(file && *file);
    EXPECT_EQ((*file)->count(), 100u);
    EXPECT_TRUE((*file)->find(page, 8, 1));
    EXPECT_EQ(count_units({"another configuration", "a guest"}), 0u);
    EXPECT_EQ(count_units({"a configuration", "another guest"}), 0u);
}

TEST_F(StoredFolder, AddsToWhatIsThere) {
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 100), {}}, kLimit));
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(2), 100), {}}, kLimit));
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(2), 150), {}}, kLimit));
    EXPECT_EQ(count_units(), 250u);
}

TEST_F(StoredFolder, IsNotWrittenForAHandfulOfUnits) {
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 3), {}}, kLimit));
    EXPECT_EQ(count_units(), 0u);
}

TEST_F(StoredFolder, NotesThatAFileWasUsed) {
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 100), {}}, kLimit));
    const fs::path path = folder_.path_of(kIdentity);
    age(path, 1000);
    const auto before = fs::last_write_time(path);
    ASSERT_TRUE(folder_.save(kIdentity, {{}, {1}}, kLimit));
    EXPECT_GT(fs::last_write_time(path), before);
}

TEST_F(StoredFolder, LeavesOutWhatWasNotUsedForLongest) {
    const std::vector<Unit> first = test_units(test_page(1), 400);
    ASSERT_TRUE(folder_.save(kIdentity, {first, {}}, kLimit));
    const uint64_t bytes = fs::file_size(folder_.path_of(kIdentity));
    // Of the first, only the last 200 are used again.
    Additions additions{test_units(test_page(2), 200), {}};
    for (size_t i = 200; i < first.size(); i++) additions.used.insert(key_of(first[i]));
    ASSERT_TRUE(folder_.save(kIdentity, additions, 4 * bytes));
    const auto file = folder_.open(kIdentity);
    ASSERT_TRUE(file && *file);
    EXPECT_GT((*file)->count(), 380u);
    EXPECT_LE(fs::file_size(folder_.path_of(kIdentity)), bytes);
    EXPECT_FALSE((*file)->find(test_page(1), 0, 1));
    EXPECT_TRUE((*file)->find(test_page(1), 8 * 399, 1));
    EXPECT_TRUE((*file)->find(test_page(2), 0, 1));
}

TEST_F(StoredFolder, RemovesTheFilesThatWereNotUsedForLongest) {
    const auto identity = [](int i) { return Identity{"a configuration", "guest " + std::to_string(i)}; };
    uint64_t bytes = 0;
    for (int i = 0; i < 5; i++) {
        ASSERT_TRUE(folder_.save(identity(i), {test_units(test_page(1), 100), {}}, kLimit));
        bytes = fs::file_size(folder_.path_of(identity(i)));
        age(folder_.path_of(identity(i)), 1000 - i);
    }
    age(folder_.path_of(identity(1)), 5000);
    ASSERT_TRUE(folder_.save(identity(5), {test_units(test_page(1), 100), {}}, 4 * bytes + 100));
    const auto all = folder_.list();
    ASSERT_TRUE(all);
    std::vector<std::string> guests;
    for (const Listed& one : *all) guests.push_back(one.identity.guest);
    EXPECT_EQ(guests, (std::vector<std::string>{"guest 5", "guest 4", "guest 3", "guest 2"}));
}

TEST_F(StoredFolder, ReplacesAFileThatIsDamaged) {
    ASSERT_TRUE(write_file_atomically(folder_.path_of(kIdentity), "not translations", 0600));
    const auto file = folder_.open(kIdentity);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().why, "it is no file of translations");
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 100), {}}, kLimit));
    EXPECT_EQ(count_units(), 100u);
}

TEST_F(StoredFolder, LeavesOutUnitsThatAreDamaged) {
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 100), {}}, kLimit));
    {
        std::fstream file(folder_.path_of(kIdentity), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(-1, std::ios::end);
        file.put('\x5a');
    }
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(2), 100), {}}, kLimit));
    EXPECT_EQ(count_units(), 199u);
}

TEST_F(StoredFolder, ReplacesUnitsThatAreDamaged) {
    const std::vector<Unit> units = test_units(test_page(1), 100);
    ASSERT_TRUE(folder_.save(kIdentity, {units, {}}, kLimit));
    const fs::path path = folder_.path_of(kIdentity);
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        for (int i = 0; i < 60; i++) {
            file.seekp(-1 - i * static_cast<int>(encode(units[0]).size()), std::ios::end);
            file.put('\x5a');
        }
    }
    ASSERT_TRUE(folder_.save(kIdentity, {units, {}}, kLimit));
    const auto file = folder_.open(kIdentity);
    ASSERT_TRUE(file && *file);
    ASSERT_EQ((*file)->count(), units.size());
    for (size_t i = 0; i < units.size(); i++) EXPECT_TRUE((*file)->read_unit(i)) << i;
}

TEST_F(StoredFolder, OfAnotherGuestUnderTheSameNameIsForeign) {
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 100), {}}, kLimit));
    const Identity other{"another configuration", "a guest"};
    fs::rename(folder_.path_of(kIdentity), folder_.path_of(other));
    const auto file = folder_.open(other);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().why, "it is for another guest or another host");
}

TEST_F(StoredFolder, IsTrustedOnlyWhenNobodyElseWritesToIt) {
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 100), {}}, kLimit));
    const fs::path path = folder_.path_of(kIdentity);
    ASSERT_EQ(chmod(path.c_str(), 0620), 0);
    auto file = folder_.open(kIdentity);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().why, "others may write to it");
    ASSERT_EQ(chmod(path.c_str(), 0600), 0);
    EXPECT_TRUE(folder_.open(kIdentity));
    ASSERT_EQ(chmod(folder_.path().c_str(), 0777), 0);
    EXPECT_FALSE(folder_.open(kIdentity));
    EXPECT_FALSE(folder_.prepare(0));
}

TEST_F(StoredFolder, OfAnotherUserIsNotTrusted) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
    ASSERT_EQ(chown(folder_.path().c_str(), 65534, 65534), 0);
    const auto prepared = folder_.prepare(0);
    ASSERT_FALSE(prepared);
    EXPECT_EQ(prepared.error().why, "it belongs to another user");
}

TEST_F(StoredFolder, WithoutRoomIsRefused) {
    const auto prepared = folder_.prepare(~uint64_t{0});
    ASSERT_FALSE(prepared);
    EXPECT_NE(prepared.error().why.find("free there"), std::string::npos);
}

TEST_F(StoredFolder, ThatCannotBeMadeIsAnError) {
    ASSERT_TRUE(write_file_atomically(temporary_ / "file", "", 0600));
    EXPECT_FALSE(Folder(temporary_ / "file" / "translations").prepare(0));
}

TEST_F(StoredFolder, ThatIsMissingIsEmpty) {
    const Folder missing(temporary_ / "missing");
    EXPECT_TRUE(missing.open(kIdentity));
    ASSERT_TRUE(missing.list());
    EXPECT_TRUE(missing.list()->empty());
    EXPECT_EQ(missing.clear().value_or(1), 0u);
}

TEST_F(StoredFolder, ListsWhatIsDamagedToo) {
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 100), {}}, kLimit));
    ASSERT_TRUE(write_file_atomically(folder_.path() / "0.code", "damaged", 0600));
    const auto all = folder_.list();
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 2u);
    EXPECT_NE((*all)[0].damage.has_value(), (*all)[1].damage.has_value());
}

TEST_F(StoredFolder, IsEmptyWhenItWasCleared) {
    ASSERT_TRUE(folder_.save(kIdentity, {test_units(test_page(1), 100), {}}, kLimit));
    const uint64_t bytes = fs::file_size(folder_.path_of(kIdentity));
    ASSERT_TRUE(write_file_atomically(folder_.path() / ".doppel-leftover.tmp", "123", 0600));
    EXPECT_EQ(folder_.clear().value_or(0), bytes);
    EXPECT_TRUE(folder_.list()->empty());
    EXPECT_FALSE(fs::exists(folder_.path() / ".doppel-leftover.tmp"));
    EXPECT_EQ(count_units(), 0u);
}

TEST_F(StoredFolder, LosesNothingWhenSeveralProcessesSaveAtOnce) {
    constexpr uint32_t kProcesses = 4, kRounds = 5, kUnits = 100;
    std::vector<pid_t> children;
    for (uint32_t i = 0; i < kProcesses; i++) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            bool saved = true;
            for (uint32_t round = 0; round < kRounds; round++) {
                const Page page = test_page(i * kRounds + round);
                saved = saved && folder_.save(kIdentity, {test_units(page, kUnits), {}}, kLimit);
            }
            _exit(saved ? 0 : 1);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(count_units(), size_t{kProcesses} * kRounds * kUnits);
}

}  // namespace
}  // namespace doppel::stored_code
