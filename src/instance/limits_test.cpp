// Without cgroups, which a test cannot count on; those are tests/instance/limits.py's.
#include "instance/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "base/temporary_folder.h"
#include "host/scheduling.h"
#include "instance/keeper/layout.h"

namespace doppel::instance {
namespace {

using machine::Specification;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LimitsTest : public testing::Test {
  protected:
    LimitsTest() { setenv("DOPPEL_CGROUPS", "off", 1); }
    ~LimitsTest() override { unsetenv("DOPPEL_CGROUPS"); }
    Specification machine(const machine::Limits& limits) const {
        Specification made;
        made.limits = limits;
        return made;
    }
    TemporaryFolder folder_;
};

TEST_F(LimitsTest, WithoutCgroupsTheMachineSeesToAllOfThem) {
    Specification one = machine({.cpu_weight = 50, .cpu_quota = 30, .io_weight = 10, .io_bps = 1 << 20});
    const Specification before = one;
    ASSERT_TRUE(prepare_limits(folder_.path(), one));
    EXPECT_EQ(one, before);
    EXPECT_FALSE(has_cgroups(folder_.path()));
    std::vector<std::string> words;
    for (const auto& [limit, value, by] : carried_limits(folder_.path(), one))
        words.push_back(limit + " " + value + " " + by);
    EXPECT_THAT(words, ElementsAre("cpu_weight 50 nice value 3", "cpu_quota 30% pauses of its CPUs",
                                   "io_weight 10 I/O priority 7 of 0 to 7", "io_bps 1M its disks"));
}

TEST_F(LimitsTest, AMemoryLimitThatNothingCarriesIsRefused) {
    Specification small = machine({.memory_limit = 64 << 20});
    const auto refused = prepare_limits(folder_.path(), small);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("DOPPEL_CGROUPS is off"));
    Specification large = machine({.memory_limit = uint64_t{4} << 30});
    EXPECT_TRUE(prepare_limits(folder_.path(), large)) << "it is never as large as that";
    EXPECT_TRUE(check_without_cgroups(large));
    EXPECT_FALSE(check_without_cgroups(small));
}

TEST_F(LimitsTest, AMachineThatRunsIsAskedForItsQuotaAndItsDisks) {
    const Specification before = machine({.cpu_quota = 50});
    const Specification after = machine({.cpu_quota = 80, .io_iops = 10});
    machine::control::Limits asked;
    const Changed changed =
        change_limits(folder_.path(), {before, after, getpid(), [&](const auto& limits) -> Result<> {
                                           asked = limits;
                                           return {};
                                       }});
    EXPECT_EQ(asked, (machine::control::Limits{80, 0, 10}));
    EXPECT_THAT(changed.later, IsEmpty());
    EXPECT_EQ(changed.now.size(), 2u);
}

TEST_F(LimitsTest, WhatTheMachineRefusesIsForLater) {
    const auto refuse = [](const auto&) -> Result<> {
        return fail(Error{"keep to a quota", "", "a debugger has it", ""});
    };
    const Changed changed = change_limits(folder_.path(), {machine({}), machine({.cpu_quota = 80}), getpid(), refuse});
    ASSERT_EQ(changed.later.size(), 1u);
    EXPECT_THAT(changed.later[0].by, HasSubstr("a debugger has it"));
    EXPECT_THAT(changed.now, IsEmpty());
}

TEST_F(LimitsTest, WeightsAndPinsAreSetFromOutside) {
    const pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    const auto own = host::own_processors();
    machine::Limits limits{.cpu_weight = 10};
    limits.pins.push_back({-1, {own.front()}});
    const auto nobody = [](const auto&) -> Result<> { return fail(Error{}); };
    const Changed changed = change_limits(folder_.path(), {machine({}), machine(limits), child, nobody});
    EXPECT_EQ(changed.now.size(), 2u);
    EXPECT_EQ(getpriority(PRIO_PROCESS, static_cast<id_t>(child)), host::nice_for(10));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

TEST_F(LimitsTest, ANoteOfGroupsThatAreNotItsOwnRemovesNothing) {
    std::filesystem::create_directory(folder_ / "victim");
    std::ofstream(folder_ / kCgroupsFile) << "cpu_quota 1 " << (folder_ / "victim").string() << "\nnonsense\n\n";
    EXPECT_TRUE(has_cgroups(folder_.path()));
    EXPECT_TRUE(release_cgroups(folder_.path(), Leftovers::kLeave));
    EXPECT_TRUE(std::filesystem::exists(folder_ / "victim"));
    EXPECT_FALSE(has_cgroups(folder_.path()));
}

}  // namespace
}  // namespace doppel::instance
