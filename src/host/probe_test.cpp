#include "host/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace doppel::host {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

Finding hang() {
    for (;;) pause();
}

Finding die() {
    raise(SIGKILL);
    return {};
}

Finding talk_and_answer() {
    if (write(1, "noise", 5) < 0 || write(2, "noise", 5) < 0) return {};
    return {"", Status::kDegraded, "a fact", "a loss"};
}

Finding leave_a_child_that_hangs() {
    if (fork() == 0) hang();
    return {"", Status::kOk, "done", ""};
}

TEST(Probe, ReportsWhatItsChildFound) {
    const Finding finding = run_guarded({"talk", talk_and_answer}, milliseconds(60000));
    EXPECT_EQ(finding.name, "talk");
    EXPECT_EQ(finding.status, Status::kDegraded);
    EXPECT_EQ(finding.fact, "a fact");
    EXPECT_EQ(finding.lost, "a loss");
}

TEST(Probe, GivesUpOnAProbeThatHangs) {
    const Finding finding = run_guarded({"hang", hang}, milliseconds(20));
    EXPECT_EQ(finding.status, Status::kMissing);
    EXPECT_THAT(finding.fact, HasSubstr("no answer within 20 ms"));
}

TEST(Probe, SurvivesAProbeThatDies) {
    const Finding finding = run_guarded({"die", die}, milliseconds(60000));
    EXPECT_EQ(finding.status, Status::kMissing);
    EXPECT_EQ(finding.fact, "the probe died");
}

TEST(Probe, LeavesNoChildBehind) {
    const Finding finding = run_guarded({"child", leave_a_child_that_hangs}, milliseconds(1000));
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
    EXPECT_EQ(finding.name, "child");
}

TEST(Probe, AllOfThemAreSortedAndSayWhatIsLost) {
    EXPECT_TRUE(std::ranges::is_sorted(probes(), {}, &Probe::name));
    const auto findings = probe_all();
    ASSERT_EQ(findings.size(), probes().size());
    for (const Finding& finding : findings) {
        EXPECT_FALSE(finding.fact.empty()) << finding.name;
        EXPECT_EQ(finding.lost.empty(), finding.status == Status::kOk) << finding.name;
        EXPECT_EQ(finding.fact.find('\n'), std::string::npos) << finding.name;
    }
}

TEST(Probe, ChangesNothingOfItsCaller) {
    const auto links = [] {
        std::vector<std::string> seen;
        for (const char* kind : {"user", "mnt", "net", "pid", "uts", "ipc", "cgroup"})
            seen.push_back(std::filesystem::read_symlink(std::string("/proc/self/ns/") + kind).string());
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
            seen.push_back(entry.path().filename());
        return seen;
    };
    const auto before = links();
    probe_all();
    EXPECT_EQ(links(), before);
}

}  // namespace
}  // namespace doppel::host
