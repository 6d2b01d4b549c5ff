#include "machine/spec/disk_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::machine {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view text) {
    const auto disk = disk_from(text);
    if (disk) return "accepted";
    EXPECT_EQ(disk.error().kind, ErrorKind::kUsage);
    EXPECT_THAT(disk.error().subject, testing::StartsWith("--disk"));
    return disk.error().message();
}

TEST(DiskChoice, ReadsEachOption) {
    EXPECT_EQ(disk_from("d.img"), (DiskChoice{.path = "d.img"}));
    const auto disk = disk_from("/a/d,format=qcow2,snapshot,iops=100,iops-burst=500,bps=2M,bps-burst=8M,serial=web-1");
    ASSERT_TRUE(disk) << disk.error().message();
    EXPECT_EQ(*disk, (DiskChoice{.path = "/a/d",
                                 .format = DiskFormat::kQcow2,
                                 .snapshot = true,
                                 .requests = {100, 500},
                                 .bytes = {2 << 20, 8 << 20},
                                 .serial = "web-1"}));
    EXPECT_EQ(disk_from("d,ro,format=raw"), (DiskChoice{.path = "d", .format = DiskFormat::kRaw, .read_only = true}));
}

TEST(DiskChoice, SurvivesTheWayThroughItsText) {
    for (const char* text : {"d", "a,,b,,,ro", ",,", "d,format=raw,ro,iops=1,bps=1,serial=x",
                             "d,format=qcow2,snapshot,iops=1,iops-burst=2,bps=3,bps-burst=4"}) {
        const auto disk = disk_from(text);
        ASSERT_TRUE(disk) << disk.error().message();
        EXPECT_EQ(text_of(*disk), text);
        EXPECT_EQ(disk_from(text_of(*disk)), *disk);
    }
    EXPECT_EQ(disk_from("a,,b,,,ro"), (DiskChoice{.path = "a,b,", .read_only = true}));
}

TEST(DiskChoice, SaysWhatIsWrong) {
    EXPECT_THAT(refusal(""), HasSubstr("a path is missing"));
    EXPECT_THAT(refusal(",ro"), HasSubstr("a path is missing"));
    EXPECT_THAT(refusal("d,rw"), HasSubstr("rw is no option of a disk"));
    EXPECT_THAT(refusal("d,"), HasSubstr("a word is missing"));
    EXPECT_THAT(refusal("d,ro=1"), HasSubstr("ro=1 is no option"));
    EXPECT_THAT(refusal("d,format=vmdk"), HasSubstr("vmdk is no format"));
    EXPECT_THAT(refusal("d,ro,snapshot"), HasSubstr("exclude each other"));
    for (const char* text : {"d,iops=0", "d,iops=", "d,iops=-1", "d,iops=1x", "d,iops=99999999999999999999"})
        EXPECT_THAT(refusal(text), HasSubstr("no number of requests")) << text;
    for (const char* text : {"d,bps=0", "d,bps=", "d,bps=fast"}) EXPECT_NE(refusal(text), "accepted") << text;
    EXPECT_THAT(refusal("d,iops-burst=5"), HasSubstr("without its limit"));
    EXPECT_THAT(refusal("d,serial=a b"), HasSubstr("no serial number"));
    EXPECT_THAT(refusal("d,serial=123456789012345678901"), HasSubstr("no serial number"));
}

}  // namespace
}  // namespace doppel::machine
