#include "base/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace doppel {
namespace {

class LogTest : public testing::Test {
  protected:
    ~LogTest() override { set_log_level(before_); }
    LogLevel before_ = log_level();
};

TEST_F(LogTest, WritesOneLineAMessage) {
    set_log_level(LogLevel::kDebug);
    testing::internal::CaptureStderr();
    log_error("no {}", "disk");
    log_warning("{} of {}", 1, 2);
    log_info("i");
    log_debug("d");
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "doppel: error: no disk\ndoppel: warning: 1 of 2\ndoppel: info: i\ndoppel: debug: d\n");
}

TEST_F(LogTest, LeavesOutWhatIsBeyondTheLevel) {
    set_log_level(LogLevel::kWarning);
    testing::internal::CaptureStderr();
    log_info("i");
    log_debug("d");
    log_warning("w");
    log_message(LogLevel::kInfo, "i");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "doppel: warning: w\n");
}

TEST_F(LogTest, ShowsNoControlCharacters) {
    testing::internal::CaptureStderr();
    log_error("a\x1b[31m\nb");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "doppel: error: a?[31m?b\n");
}

TEST_F(LogTest, KeepsTheLinesOfSeveralThreadsWhole) {
    testing::internal::CaptureStderr();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([] {
            for (int j = 0; j < 50; j++) log_error("0123456789");
        });
    }
    for (auto& thread : threads) thread.join();
    std::string line = "doppel: error: 0123456789\n";
    std::string expected;
    for (int i = 0; i < 200; i++) expected += line;
    EXPECT_EQ(testing::internal::GetCapturedStderr(), expected);
}

TEST(LogDeathTest, TakesItsLevelFromTheEnvironment) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    auto exit_with_level = [](const char* wanted) {
        ::setenv("DOPPEL_LOG", wanted, 1);
        std::exit(static_cast<int>(log_level()));
    };
    EXPECT_EXIT(exit_with_level("error"), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(exit_with_level("debug"), testing::ExitedWithCode(3), "");
    EXPECT_EXIT(exit_with_level("nonsense"), testing::ExitedWithCode(1), "");
}

}  // namespace
}  // namespace doppel
