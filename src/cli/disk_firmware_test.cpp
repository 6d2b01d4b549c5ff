#include "cli/disk_firmware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "base/temporary_folder.h"

namespace doppel::cli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kCode = "usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd";

class DiskFirmwareTest : public testing::Test {
  protected:
    static void put(const fs::path& file) {
        fs::create_directories(file.parent_path());
        std::ofstream(file) << "code";
    }
    Result<fs::path> add() { return add_disk_firmware(roots_, "./disk", specification_); }

    TemporaryFolder folder_;
    std::vector<fs::path> roots_{folder_.path() / "own", folder_.path() / "system"};
    machine::Specification specification_;
};

TEST_F(DiskFirmwareTest, NamesThePackageAndOptionsWhereThereIsNone) {
    const auto added = add();
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().kind, ErrorKind::kFailed);
    EXPECT_THAT(added.error().message(), AllOf(HasSubstr("run: ./disk: there is no firmware"),
                                               HasSubstr("install qemu-efi-riscv64"), HasSubstr("--firmware")));
}

TEST_F(DiskFirmwareTest, StartsFromFlashThatIsOnlyRead) {
    put(roots_[1] / kCode);
    const auto added = add();
    ASSERT_TRUE(added) << added.error().message();
    EXPECT_EQ(*added, roots_[1] / kCode);
    EXPECT_TRUE(specification_.kernel.empty());
    EXPECT_EQ(specification_.code_flash.path, (roots_[1] / kCode).string());
    EXPECT_TRUE(specification_.code_flash.read_only);
}

TEST_F(DiskFirmwareTest, PrefersTheUsersOwn) {
    put(roots_[0] / kCode);
    put(roots_[1] / kCode);
    ASSERT_TRUE(add());
    EXPECT_EQ(specification_.code_flash.path, (roots_[0] / kCode).string());
}

TEST_F(DiskFirmwareTest, TakesNoFolderForAFile) {
    fs::create_directories(roots_[0] / kCode);
    EXPECT_FALSE(add());
}

}  // namespace
}  // namespace doppel::cli
