#include "storage/disk/open_disk.h"

#include <fcntl.h>
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
    Result<Disk> adopt(const std::filesystem::path& path, OpenOptions options) {
        UniqueFd file(::open(path.c_str(), options.writable ? O_RDWR : O_RDONLY));
        return io_->run(adopt_disk(*io_, std::move(file), path, std::move(options)));
    }
    int open_folder() const { return ::open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY); }
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

TEST_F(OpenDisk, TakesAFileThatIsOpenAsADisk) {
    ASSERT_TRUE(create_raw_file(folder_ / "raw", 4096).has_value());
    make_image(folder_ / "image", std::nullopt);
    const auto raw = adopt(folder_ / "raw", {.writable = true});
    ASSERT_TRUE(raw.has_value()) << raw.error().message();
    EXPECT_EQ(raw->device->size(), 4096u);
    EXPECT_EQ(io_->run(raw->device->write(0, Buffers(std::span(kImage)))), Status(EPERM)) << "it would be an image";
    const auto image = adopt(folder_ / "image", {.writable = true});
    ASSERT_TRUE(image.has_value()) << image.error().message();
    EXPECT_EQ(image->device->size(), uint64_t{1} << 20);
    std::array<uint8_t, 512> bytes{1, 2, 3};
    EXPECT_TRUE(io_->run(image->device->write(512, Buffers(std::span(bytes)))).ok());
    EXPECT_TRUE(io_->run(image->device->close()).ok());
    EXPECT_TRUE(adopt(folder_ / "image", {.format = Format::kRaw})->device->read_only());
}

TEST_F(OpenDisk, AnOpenFileThatStandsOnAnotherIsNoDisk) {
    make_image(folder_ / "base", std::nullopt);
    make_image(folder_ / "top", "base");
    const auto top = adopt(folder_ / "top", {});
    ASSERT_FALSE(top.has_value());
    EXPECT_NE(top.error().message().find("stands on another file"), std::string::npos) << top.error().message();
    EXPECT_FALSE(io_->run(adopt_disk(*io_, UniqueFd(open_folder()), "folder", {})).has_value());
}

}  // namespace
}  // namespace doppel::storage::disk
