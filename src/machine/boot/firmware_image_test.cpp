#include "machine/boot/firmware_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/boot/test_files.h"

namespace doppel::machine::boot {
namespace {

using testing::HasSubstr;
using namespace test;

std::string error_of(Bytes file) {
    const auto firmware = read_firmware_image(std::move(file), "fw");
    return firmware ? "no error" : firmware.error().message();
}

TEST(FirmwareImage, IsAnElf) {
    TestElf written;
    written.segments = {{0x8000'0000, 0x8000'0000, Bytes(64), 64}};
    written.entry = 0x8000'0000;
    auto firmware = read_firmware_image(written.build(), "fw");
    ASSERT_TRUE(firmware) << firmware.error().message();
    // It stays valid where it is moved to.
    const FirmwareImage moved = std::move(*firmware);
    ASSERT_TRUE(moved.elf);
    EXPECT_EQ(moved.elf->physical_entry(), 0x8000'0000);
    EXPECT_EQ(moved.elf->segments().front().content.size(), 64u);
    EXPECT_FALSE(moved.elf->position_independent());
}

TEST(FirmwareImage, IsRawCode) {
    const auto firmware = read_firmware_image(Bytes(5000, 0x93), "fw");
    ASSERT_TRUE(firmware) << firmware.error().message();
    EXPECT_FALSE(firmware->elf);
    EXPECT_EQ(firmware->bytes, Bytes(5000, 0x93));
}

TEST(FirmwareImage, NamesWhatIsSurelyNone) {
    EXPECT_THAT(error_of({}), HasSubstr("read firmware: fw: is empty; give an ELF or raw firmware"));
    EXPECT_THAT(error_of(bytes_of("#!/bin/sh\n")), HasSubstr("is a text file"));
    EXPECT_THAT(error_of(Bytes(5000)), HasSubstr("holds nothing but zeroes"));
    EXPECT_THAT(error_of(Bytes(3, 0x93)), HasSubstr("is too short to be firmware (3 bytes)"));
    EXPECT_EQ(error_of(make_image()),
              "read firmware: fw: is a Linux kernel, which does not run in M-mode; give it as --kernel");
    EXPECT_THAT(error_of(zboot(gzip(make_image()), "gzip")), HasSubstr("is a Linux kernel"));
    EXPECT_THAT(error_of(gzip(Bytes(5000, 0x93))), HasSubstr("is compressed with gzip; unpack it first"));
    EXPECT_THAT(error_of(bytes_of("QFI\xfb and so on, as a disk does")), HasSubstr("is a qcow2 disk"));
    Bytes broken = bytes_of(
        "\x7f"
        "ELF");
    broken.resize(32);
    EXPECT_THAT(error_of(broken), HasSubstr("read firmware: fw: "));
}

}  // namespace
}  // namespace doppel::machine::boot
