#include "base/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>

#include <array>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace doppel {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kMebibyte = 1 << 20;

// A pseudo-terminal: `terminal` is what the bar writes to.
class Terminal {
  public:
    Terminal() {
        int master = -1;
        int slave = -1;
        if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) ADD_FAILURE() << "no pseudo-terminal";
        screen_.reset(master);
        terminal_.reset(slave);
        ::fcntl(master, F_SETFL, O_NONBLOCK);
    }
    int fd() const { return terminal_.get(); }
    // What was written since the last call.
    std::string written() const {
        std::array<char, 4096> buffer{};
        ssize_t got = ::read(screen_.get(), buffer.data(), buffer.size());
        return got > 0 ? std::string(buffer.data(), static_cast<size_t>(got)) : std::string();
    }

  private:
    UniqueFd screen_;
    UniqueFd terminal_;
};

TEST(ProgressLine, ShowsLabelBarPercentAndRate) {
    EXPECT_EQ(progress_line({"load", 50, 100, ProgressUnit::kItems, 2'000 * kMillisecond}, 79),
              "load [###############---------------]  50%  25/s");
    EXPECT_EQ(progress_line({"load", 3 * kMebibyte, 2 * kMebibyte, ProgressUnit::kBytes, 2'000 * kMillisecond}, 79),
              "load [##############################] 100%  1.5 MiB/s");
    EXPECT_EQ(progress_line({"load", 0, 100, ProgressUnit::kItems, 0}, 79),
              "load [------------------------------]   0%  0/s");
}

TEST(ProgressLine, WithoutATotalShowsTheAmount) {
    EXPECT_EQ(progress_line({"load", 2 * kMebibyte, 0, ProgressUnit::kBytes, 2'000 * kMillisecond}, 79),
              "load  2.0 MiB  1.0 MiB/s");
}

TEST(ProgressLine, NeverExceedsTheWidth) {
    for (unsigned width = 0; width < 100; width++) {
        ProgressView view{"fetch linux-image-caf\xc3\xa9", UINT64_MAX, 7, ProgressUnit::kBytes, 1};
        EXPECT_LE(progress_line(view, width).size(), width);
        view.total = 0;
        EXPECT_LE(progress_line(view, width).size(), width);
    }
    EXPECT_EQ(progress_line({"caf\xc3\xa9", 1, 2, ProgressUnit::kItems, 1}, 4), "caf");
}

TEST(Progress, AppearsOnlyOnceItLastsAndVanishesInTheEnd) {
    Terminal terminal;
    ManualClock clock;
    {
        Progress progress("load", 100, ProgressUnit::kItems, clock, terminal.fd());
        clock.advance(299 * kMillisecond);
        progress.advance(10);
        EXPECT_EQ(terminal.written(), "");
        clock.advance(kMillisecond);
        progress.advance(10);
        EXPECT_NE(terminal.written().find("20%"), std::string::npos);
        clock.advance(99 * kMillisecond);
        progress.advance(10);
        EXPECT_EQ(terminal.written(), "");
        clock.advance(kMillisecond);
        progress.set(99);
        EXPECT_NE(terminal.written().find("99%"), std::string::npos);
    }
    EXPECT_EQ(terminal.written(), "\r\x1b[K");
}

TEST(Progress, OfQuickWorkWritesNothing) {
    Terminal terminal;
    ManualClock clock;
    { Progress("load", 100, ProgressUnit::kItems, clock, terminal.fd()).advance(100); }
    EXPECT_EQ(terminal.written(), "");
}

TEST(Progress, WritesNothingWhereThereIsNoTerminal) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    UniqueFd out(ends[0]);
    UniqueFd in(ends[1]);
    ManualClock clock;
    {
        Progress progress("load", 100, ProgressUnit::kItems, clock, in.get());
        clock.advance(1'000 * kMillisecond);
        progress.advance(50);
    }
    char byte = 0;
    EXPECT_EQ(::read(out.get(), &byte, 1), -1);
}

TEST(Progress, ShowsOneBarAtATime) {
    Terminal terminal;
    ManualClock clock;
    Progress outer("outer", 100, ProgressUnit::kItems, clock, terminal.fd());
    Progress inner("inner", 100, ProgressUnit::kItems, clock, terminal.fd());
    clock.advance(1'000 * kMillisecond);
    outer.advance(1);
    EXPECT_NE(terminal.written().find("outer"), std::string::npos);
    inner.advance(1);
    EXPECT_EQ(terminal.written(), "");
}

TEST(Progress, GivesWayToALogLine) {
    Terminal terminal;
    ManualClock clock;
    Progress progress("load", 100, ProgressUnit::kItems, clock, terminal.fd());
    clock.advance(1'000 * kMillisecond);
    progress.advance(1);
    (void)terminal.written();
    testing::internal::CaptureStderr();
    log_error("x");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "doppel: error: x\n");
    EXPECT_EQ(terminal.written(), "\r\x1b[K");
    clock.advance(100 * kMillisecond);
    progress.advance(1);
    EXPECT_NE(terminal.written().find("load"), std::string::npos);
}

TEST(Progress, CountsTheStepsOfSeveralThreads) {
    Terminal terminal;
    ManualClock clock;
    Progress progress("load", 4000, ProgressUnit::kItems, clock, terminal.fd());
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            for (int j = 0; j < 1000; j++) progress.advance(1);
        });
    }
    for (auto& thread : threads) thread.join();
    clock.advance(1'000 * kMillisecond);
    progress.advance(0);
    EXPECT_NE(terminal.written().find("100%"), std::string::npos);
}

}  // namespace
}  // namespace doppel
