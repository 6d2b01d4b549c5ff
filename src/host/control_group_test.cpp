#include "host/control_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"

#include <fstream>

namespace doppel::host {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kUnified =
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr std::string_view kHybrid =
    "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 30 0:28 / /sys/fs/cgroup/blkio rw shared:6 - cgroup cgroup rw,blkio\n"
    "33 30 0:29 /box /sys/fs/cgroup/my\\040memory rw shared:7 - cgroup cgroup rw,memory\n"
    "34 30 0:30 / /sys/fs/cgroup/unified rw shared:8 - cgroup2 cgroup2 rw\n";
constexpr std::string_view kGroups = "4:memory:/box/inner\n3:blkio:/\n2:cpu,cpuacct:/user/me\n0::/user\n";

std::vector<std::string> paths(Controller controller, std::string_view membership, std::string_view mounts) {
    std::vector<std::string> all;
    for (const ControlGroup& place : control_group_places(controller, membership, mounts))
        all.push_back(std::to_string(place.version) + " " + place.path.string());
    return all;
}

TEST(ControlGroup, OfV2APlaceIsTheOwnGroupAndAllAboveIt) {
    EXPECT_THAT(paths(Controller::kCpu, "0::/user.slice/a.scope\n", kUnified),
                ElementsAre("2 /sys/fs/cgroup/user.slice/a.scope", "2 /sys/fs/cgroup/user.slice", "2 /sys/fs/cgroup"));
}

TEST(ControlGroup, OfV1EachControllerHasAPlaceOfItsOwn) {
    EXPECT_THAT(paths(Controller::kCpu, kGroups, kHybrid),
                ElementsAre("1 /sys/fs/cgroup/cpu,cpuacct/user/me", "2 /sys/fs/cgroup/unified/user",
                            "2 /sys/fs/cgroup/unified"));
    EXPECT_THAT(paths(Controller::kIo, kGroups, kHybrid), testing::Contains("1 /sys/fs/cgroup/blkio"));
}

TEST(ControlGroup, AMountMayShowAPartOnlyAndHaveSpacesInItsName) {
    EXPECT_THAT(paths(Controller::kMemory, kGroups, kHybrid), testing::Contains("1 /sys/fs/cgroup/my memory/inner"));
    EXPECT_THAT(paths(Controller::kMemory, "4:memory:/elsewhere\n", kHybrid), IsEmpty());
    EXPECT_THAT(paths(Controller::kMemory, "4:memory:/../..\n", kHybrid), IsEmpty());
}

TEST(ControlGroup, NonsenseIsNoPlace) {
    for (const char* mounts : {"", "\n\n", "cgroup2", "1 2 3 4 5 6 - cgroup2", "- cgroup cgroup rw,cpu"})
        EXPECT_THAT(paths(Controller::kCpu, kGroups, mounts), IsEmpty()) << mounts;
    EXPECT_THAT(paths(Controller::kCpu, "::\n:\nx\n", kHybrid), IsEmpty());
}

// A folder that looks like a cgroup file system, whose files the kernel does not make.
class FakeGroups : public testing::Test {
  protected:
    void put(const fs::path& file, const std::string& text) const {
        fs::create_directories((folder_ / "") / file.parent_path());
        std::ofstream(folder_ / file) << text;
    }
    std::string text(const fs::path& file) const {
        std::string line;
        std::getline(std::ifstream(folder_ / file), line);
        return line;
    }
    TemporaryFolder folder_;
};

TEST_F(FakeGroups, APlaceOfV2HasTheControllerOrIsToldTo) {
    put("cgroup.procs", "");
    put("cgroup.controllers", "cpu io\n");
    put("cgroup.subtree_control", "\n");
    EXPECT_TRUE(open_place({Controller::kCpu, 2, folder_.path()}));
    EXPECT_EQ(text("cgroup.subtree_control"), "+cpu");
    const auto without = open_place({Controller::kMemory, 2, folder_.path()});
    ASSERT_FALSE(without);
    EXPECT_THAT(without.error().message(), HasSubstr("the controller is not there"));
    EXPECT_FALSE(open_place({Controller::kCpu, 2, folder_ / "missing"}));
}

TEST_F(FakeGroups, LimitsAreWrittenInTheWordsOfTheirVersion) {
    for (const char* file : {"cpu.weight", "cpu.max", "memory.max", "cpu.shares", "cpu.cfs_quota_us",
                             "cpu.cfs_period_us", "memory.limit_in_bytes", "blkio.bfq.weight"})
        put(file, "");
    const ControlGroup newer{Controller::kCpu, 2, folder_.path()}, older{Controller::kCpu, 1, folder_.path()};
    EXPECT_TRUE(limit_cpu_weight(newer, 200) && limit_cpu_quota(newer, 150) && limit_memory(newer, 1 << 30));
    EXPECT_TRUE(limit_cpu_weight(older, 200) && limit_cpu_quota(older, 150) && limit_memory(older, 1 << 30));
    EXPECT_TRUE(limit_io_weight(older, 5000));
    EXPECT_EQ(text("cpu.weight"), "200");
    EXPECT_EQ(text("cpu.max"), "150000 100000");
    EXPECT_EQ(text("memory.max"), "1073741824");
    EXPECT_EQ(text("cpu.shares"), "2048");
    EXPECT_EQ(text("cpu.cfs_quota_us"), "150000");
    EXPECT_EQ(text("memory.limit_in_bytes"), "1073741824");
    EXPECT_EQ(text("blkio.bfq.weight"), "1000");
    EXPECT_FALSE(limit_io_weight(newer, 100)) << "there are no such files";
}

TEST_F(FakeGroups, AGroupWithoutItsControllerIsNone) {
    const auto made = make_control_group({Controller::kCpu, 1, folder_.path()}, "doppel-x");
    EXPECT_FALSE(made);
    EXPECT_EQ(folder_.count(), 0u) << "it is not left behind";
    EXPECT_TRUE(remove_control_group(folder_ / "doppel-x")) << "what is gone is removed";
}

}  // namespace
}  // namespace doppel::host
