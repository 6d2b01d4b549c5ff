#include "machine/flash_bank.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/temporary_folder.h"

namespace doppel::machine {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

constexpr uint64_t kSize = 4 * device::CfiFlash::kBlockSize;

class FlashBankTest : public testing::Test {
  protected:
    std::string file(const std::string& name, const Bytes& content) {
        const auto path = folder_.path() / name;
        EXPECT_TRUE(write_file_atomically(path, content));
        return path;
    }
    Result<FlashBank> open(const FlashChoice& choice, FlashUse use) {
        memories_.push_back(std::make_unique<memory::GuestMemory>());
        return open_flash_bank(choice, use, {*memories_.back(), 0x2000'0000, kSize});
    }
    static Bytes read(const std::string& path) { return *read_file(path, 2 * kSize, "test"); }
    // As the device does.
    static bool change(FlashBank& bank, uint64_t offset, const Bytes& content) {
        std::ranges::copy(content, bank.content->host + offset);
        return bank.file->keep(offset, {bank.content->host + offset, content.size()});
    }

    TemporaryFolder folder_;
    std::vector<std::unique_ptr<memory::GuestMemory>> memories_;
};

TEST_F(FlashBankTest, IsErasedWhereTheFileHasNothing) {
    auto bank = open({file("code", {1, 2, 3}), false}, FlashUse::kCode);
    ASSERT_TRUE(bank) << bank.error().message();
    EXPECT_EQ(bank->content->size, kSize);
    EXPECT_EQ(Bytes(bank->content->host, bank->content->host + 5), (Bytes{1, 2, 3, 0xff, 0xff}));
    EXPECT_EQ(bank->content->host[kSize - 1], 0xff);
    EXPECT_EQ(bank->file, nullptr) << "code is only read";
    auto none = open({}, FlashUse::kVariables);
    ASSERT_TRUE(none);
    EXPECT_EQ(none->content->host[0], 0xff);
    EXPECT_EQ(none->file, nullptr);
}

TEST_F(FlashBankTest, WritesWhatChangesToTheVariablesFile) {
    const std::string path = file("vars", Bytes(kSize, 7));
    auto bank = open({path, false}, FlashUse::kVariables);
    ASSERT_TRUE(bank) << bank.error().message();
    EXPECT_TRUE(change(*bank, 100, {1, 2}));
    Bytes expected(kSize, 7);
    expected[100] = 1, expected[101] = 2;
    EXPECT_EQ(read(path), expected);
}

TEST_F(FlashBankTest, AShortFileGrowsAsFarAsItIsWrittenTo) {
    const std::string path = file("vars", {7});
    auto bank = open({path, false}, FlashUse::kVariables);
    ASSERT_TRUE(bank) << bank.error().message();
    EXPECT_TRUE(change(*bank, 3, {5}));
    EXPECT_EQ(read(path), (Bytes{7, 0xff, 0xff, 5}));
    EXPECT_TRUE(change(*bank, 0, {6}));
    EXPECT_EQ(read(path), (Bytes{6, 0xff, 0xff, 5}));
}

TEST_F(FlashBankTest, AReadOnlyFileIsNotOpenedForWriting) {
    const std::string path = file("vars", {7});
    auto bank = open({path, true}, FlashUse::kVariables);
    ASSERT_TRUE(bank) << bank.error().message();
    EXPECT_TRUE(bank->read_only);
    EXPECT_EQ(bank->file, nullptr);
    EXPECT_TRUE(open({path, true}, FlashUse::kVariables)) << "any number of machines may read it";
}

TEST_F(FlashBankTest, BelongsToOneMachine) {
    const std::string path = file("vars", {7});
    auto first = open({path, false}, FlashUse::kVariables);
    ASSERT_TRUE(first);
    const auto second = open({path, false}, FlashUse::kVariables);
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().message(), HasSubstr("vars: another machine writes to it; give each machine a copy"));
    first->file.reset();
    EXPECT_TRUE(open({path, false}, FlashUse::kVariables));
}

TEST_F(FlashBankTest, SaysWhyAFileCannotBeFlash) {
    const auto error_of = [&](const std::string& path) {
        const auto bank = open({path, false}, FlashUse::kCode);
        return bank ? "no error" : bank.error().message();
    };
    EXPECT_THAT(error_of(file("large", Bytes(kSize + 1))),
                HasSubstr("large: it has 1048577 bytes, more than the 1M of the flash; give an image that was made"));
    EXPECT_THAT(error_of(folder_.path() / "none"), HasSubstr("read flash: "));
    EXPECT_THAT(error_of(folder_.path()), HasSubstr("it is not a regular file"));
    ASSERT_EQ(::mkfifo((folder_.path() / "fifo").c_str(), 0600), 0);
    EXPECT_THAT(error_of(folder_.path() / "fifo"), HasSubstr("it is not a regular file"));
}

}  // namespace
}  // namespace doppel::machine
