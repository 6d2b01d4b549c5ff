#include "storage/disk/open_disk.h"

#include <gtest/gtest.h>

#include <array>

#include "base/temporary_folder.h"
#include "storage/qcow2/create.h"
#include "storage/raw_file.h"

namespace doppel::storage::disk {
namespace {

class OpenDisk : public testing::Test {
  protected:
    void SetUp() override {
        auto made = IoContext::create();
        ASSERT_TRUE(made.has_value());
        io_ = std::move(*made);
    }
    void make_image(const std::filesystem::path& path, std::optional<std::string> backing) {
        std::filesystem::create_directories(path.parent_path());
        ASSERT_TRUE(create_raw_file(path, 0).has_value());
        auto file = RawFile::open(*io_, path, {.writable = true, .container = true});
        ASSERT_TRUE(file.has_value());
        qcow2::CreateOptions options;
        options.size = 1 << 20;
        options.backing_file = std::move(backing);
        ASSERT_TRUE(io_->run(qcow2::create(**file, options)).has_value());
    }
    Result<Disk> open(const std::filesystem::path& path, OpenOptions options = {}) {
        return io_->run(open_disk(*io_, path, std::move(options)));
    }
    TemporaryFolder folder_;
    std::unique_ptr<IoContext> io_;
};

constexpr std::array<uint8_t, 8> kImage{'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};

TEST_F(OpenDisk, KeepsARecognisedRawDiskFromBecomingAnImage) {
    ASSERT_TRUE(create_raw_file(folder_ / "disk", 4096).has_value());
    auto disk = open(folder_ / "disk", {.writable = true});
    ASSERT_TRUE(disk.has_value());
    BlockDevice& device = *disk->device;
    EXPECT_EQ(io_->run(device.write(0, Buffers(std::span(kImage)))), Status(EPERM));
    // Nor piece by piece.
    EXPECT_TRUE(io_->run(device.write(1, Buffers(std::span(kImage).subspan(1)))).ok());
    EXPECT_EQ(io_->run(device.write(0, Buffers(std::span(kImage).first(1)))), Status(EPERM));
    std::array<uint8_t, 600> other{};
    EXPECT_TRUE(io_->run(device.write(0, Buffers(std::span(other)))).ok());
    EXPECT_TRUE(io_->run(device.write(8, Buffers(std::span(kImage)))).ok());
}

TEST_F(OpenDisk, LetsANamedRawDiskHoldAnything) {
    ASSERT_TRUE(create_raw_file(folder_ / "disk", 4096).has_value());
    auto disk = open(folder_ / "disk", {.format = Format::kRaw, .writable = true});
    ASSERT_TRUE(disk.has_value());
    EXPECT_TRUE(io_->run(disk->device->write(0, Buffers(std::span(kImage)))).ok());
}

TEST_F(OpenDisk, FindsBackingDisksFromTheImagesFolder) {
    make_image(folder_ / "below" / "base", std::nullopt);
    make_image(folder_ / "top", "below/base");
    auto disk = open(folder_ / "top");
    ASSERT_TRUE(disk.has_value()) << disk.error().message();
    ASSERT_NE(disk->qcow2, nullptr);
    ASSERT_NE(disk->qcow2->backing(), nullptr);
    EXPECT_EQ(disk->qcow2->backing()->name(), (folder_ / "below/base").string());
    EXPECT_EQ(open(folder_ / "top", {.backing = false})->qcow2->backing(), nullptr);
}

TEST_F(OpenDisk, RefusesLoopsAddressesAndWhatIsMissing) {
    make_image(folder_ / "a", "b");
    make_image(folder_ / "b", "a");
    make_image(folder_ / "far", "nbd://host/disk");
    make_image(folder_ / "strange", "json:{}");
    make_image(folder_ / "alone", "nowhere");
    for (const auto& [name, says] : {std::pair{"a", "stands on itself"}, std::pair{"far", "is no file"},
                                     std::pair{"strange", "is no file"}, std::pair{"alone", "No such file"}}) {
        const auto disk = open(folder_ / name);
        ASSERT_FALSE(disk.has_value()) << name;
        EXPECT_NE(disk.error().message().find(says), std::string::npos) << disk.error().message();
    }
}

}  // namespace
}  // namespace doppel::storage::disk
