#include "base/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <atomic>
#include <string>
#include <thread>

namespace doppel {
namespace {

struct Pipe {
    Pipe() {
        int ends[2] = {-1, -1};
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) ADD_FAILURE() << "no pipe";
        out.reset(ends[0]);
        in.reset(ends[1]);
    }
    void put() const { EXPECT_EQ(::write(in.get(), "x", 1), 1); }
    void take() const {
        char byte = 0;
        EXPECT_EQ(::read(out.get(), &byte, 1), 1);
    }
    UniqueFd out;
    UniqueFd in;
};

class EventLoopTest : public testing::Test {
  protected:
    ManualClock clock_;
    std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create(clock_));
    std::string log_;
};

TEST_F(EventLoopTest, CallsTheWatcherOfAReadyDescriptor) {
    Pipe pipe;
    ASSERT_TRUE(loop_->watch(pipe.out.get(), EPOLLIN, [&](uint32_t events) {
        EXPECT_EQ(events, static_cast<uint32_t>(EPOLLIN));
        pipe.take();
        log_ += "r";
    }));
    loop_->run_ready();
    EXPECT_EQ(log_, "");
    pipe.put();
    loop_->run_ready();
    loop_->run_ready();
    EXPECT_EQ(log_, "r");
    loop_->unwatch(pipe.out.get());
    pipe.put();
    loop_->run_ready();
    EXPECT_EQ(log_, "r");
}

TEST_F(EventLoopTest, RefusesASecondWatcherAndABadDescriptor) {
    Pipe pipe;
    ASSERT_TRUE(loop_->watch(pipe.out.get(), EPOLLIN, [](uint32_t) {}));
    EXPECT_FALSE(loop_->watch(pipe.out.get(), EPOLLIN, [](uint32_t) {}));
    EXPECT_FALSE(loop_->watch(-1, EPOLLIN, [](uint32_t) {}));
    EXPECT_FALSE(loop_->change(pipe.in.get(), EPOLLOUT));
    loop_->unwatch(pipe.in.get());
}

TEST_F(EventLoopTest, ChangesTheWatchedEvents) {
    Pipe pipe;
    ASSERT_TRUE(loop_->watch(pipe.in.get(), 0, [&](uint32_t) { log_ += "w"; }));
    loop_->run_ready();
    EXPECT_EQ(log_, "");
    ASSERT_TRUE(loop_->change(pipe.in.get(), EPOLLOUT));
    loop_->run_ready();
    EXPECT_EQ(log_, "w");
}

TEST_F(EventLoopTest, LetsACallbackUnwatchItself) {
    Pipe pipe;
    pipe.put();
    auto alive = std::make_shared<int>(1);
    ASSERT_TRUE(loop_->watch(pipe.out.get(), EPOLLIN, [&, alive](uint32_t) {
        loop_->unwatch(pipe.out.get());
        log_ += *alive == 1 ? "1" : "?";
    }));
    loop_->run_ready();
    loop_->run_ready();
    EXPECT_EQ(log_, "1");
    EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(EventLoopTest, DoesNotCallAWatcherThatTheSameRoundRemoved) {
    Pipe first;
    Pipe second;
    first.put();
    second.put();
    auto remove_both = [&](uint32_t) {
        log_ += "x";
        loop_->unwatch(first.out.get());
        loop_->unwatch(second.out.get());
    };
    ASSERT_TRUE(loop_->watch(first.out.get(), EPOLLIN, remove_both));
    ASSERT_TRUE(loop_->watch(second.out.get(), EPOLLIN, remove_both));
    loop_->run_ready();
    EXPECT_EQ(log_, "x");
}

TEST_F(EventLoopTest, DoesNotHandAStaleEventToTheNextOwnerOfTheNumber) {
    Pipe first;
    Pipe second;
    first.put();
    second.put();
    // Whichever is called first replaces the watcher of the other.
    auto replace = [&](int other) {
        log_ += "x";
        loop_->unwatch(other);
        EXPECT_TRUE(loop_->watch(other, EPOLLIN, [&](uint32_t) { log_ += "n"; }));
    };
    ASSERT_TRUE(loop_->watch(first.out.get(), EPOLLIN, [&](uint32_t) { replace(second.out.get()); }));
    ASSERT_TRUE(loop_->watch(second.out.get(), EPOLLIN, [&](uint32_t) { replace(first.out.get()); }));
    loop_->run_ready();
    EXPECT_EQ(log_, "x");
}

TEST_F(EventLoopTest, SurvivesADescriptorThatWasClosedBeforeUnwatch) {
    Pipe pipe;
    int number = pipe.out.get();
    ASSERT_TRUE(loop_->watch(number, EPOLLIN, [](uint32_t) {}));
    pipe.out.reset();
    loop_->unwatch(number);
    loop_->run_ready();
}

TEST_F(EventLoopTest, RunsMessagesInOrder) {
    loop_->post([&] {
        log_ += "1";
        loop_->post([&] { log_ += "3"; });
    });
    loop_->post([&] { log_ += "2"; });
    loop_->run_ready();
    EXPECT_EQ(log_, "12");
    loop_->run_ready();
    EXPECT_EQ(log_, "123");
}

TEST_F(EventLoopTest, RunsWhatWasPostedBeforeStop) {
    loop_->post([&] { log_ += "a"; });
    loop_->stop();
    loop_->run();
    EXPECT_EQ(log_, "a");
}

TEST_F(EventLoopTest, RunsAgainAfterStop) {
    for (int i = 0; i < 2; i++) {
        loop_->post([&] {
            log_ += "a";
            loop_->stop();
        });
        loop_->run();
    }
    EXPECT_EQ(log_, "aa");
}

TEST_F(EventLoopTest, ExpiresTimersInTheOrderOfTheirDeadlines) {
    EventLoop::Timer late(*loop_, [&] { log_ += "L"; });
    EventLoop::Timer early(*loop_, [&] { log_ += "E"; });
    late.arm(200);
    early.arm(100);
    clock_.advance(99);
    loop_->run_ready();
    EXPECT_EQ(log_, "");
    clock_.advance(1);
    loop_->run_ready();
    EXPECT_EQ(log_, "E");
    clock_.advance(1000);
    loop_->run_ready();
    loop_->run_ready();
    EXPECT_EQ(log_, "EL");
}

TEST_F(EventLoopTest, RearmingATimerReplacesItsDeadline) {
    EventLoop::Timer timer(*loop_, [&] { log_ += "t"; });
    timer.arm(100);
    timer.arm(300);
    clock_.advance(200);
    loop_->run_ready();
    EXPECT_EQ(log_, "");
    clock_.advance(100);
    loop_->run_ready();
    EXPECT_EQ(log_, "t");
}

TEST_F(EventLoopTest, ADisarmedOrDestroyedTimerDoesNotExpire) {
    EventLoop::Timer disarmed(*loop_, [&] { log_ += "d"; });
    disarmed.arm(100);
    disarmed.disarm();
    {
        EventLoop::Timer destroyed(*loop_, [&] { log_ += "x"; });
        destroyed.arm(100);
    }
    clock_.advance(100);
    loop_->run_ready();
    EXPECT_EQ(log_, "");
}

TEST_F(EventLoopTest, ATimerMayDisarmAnotherThatIsDueAsWell) {
    EventLoop::Timer second(*loop_, [&] { log_ += "2"; });
    EventLoop::Timer first(*loop_, [&] {
        log_ += "1";
        second.disarm();
    });
    first.arm(1);
    second.arm(2);
    clock_.advance(10);
    loop_->run_ready();
    EXPECT_EQ(log_, "1");
}

TEST_F(EventLoopTest, ATimerMayRearmAndDestroyItself) {
    std::unique_ptr<EventLoop::Timer> timer;
    timer = std::make_unique<EventLoop::Timer>(*loop_, [&] {
        log_ += "t";
        if (log_.size() == 3) {
            timer.reset();
        } else {
            timer->arm(0);
        }
    });
    timer->arm(0);
    for (int i = 0; i < 5; i++) loop_->run_ready();
    EXPECT_EQ(log_, "ttt");
}

TEST_F(EventLoopTest, ATimerForThePastDoesNotKeepTheLoopFromItsDescriptors) {
    Pipe pipe;
    pipe.put();
    EventLoop::Timer timer(*loop_, [&] { timer.arm(0); });
    timer.arm(0);
    ASSERT_TRUE(loop_->watch(pipe.out.get(), EPOLLIN, [&](uint32_t) { loop_->stop(); }));
    loop_->run();
}

// These run the loop on a thread of its own; they hang rather than pass when a wake-up is lost.
class RunningLoopTest : public testing::Test {
  protected:
    ~RunningLoopTest() override { finish(); }
    // Callbacks touch the test's variables, so the loop ends before those go.
    void finish() {
        loop_->stop();
        if (thread_.joinable()) thread_.join();
    }
    std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create());
    std::thread thread_{[this] { loop_->run(); }};
    const std::thread::id runner_ = thread_.get_id();
};

TEST_F(RunningLoopTest, RunsEveryMessageOfEveryThreadOnItsOwn) {
    constexpr int kThreads = 4;
    constexpr int kMessages = 2000;
    std::atomic<int> count{0};
    std::atomic<bool> elsewhere{false};
    std::vector<std::thread> senders;
    for (int i = 0; i < kThreads; i++) {
        senders.emplace_back([&] {
            for (int j = 0; j < kMessages; j++) {
                loop_->post([&] {
                    if (std::this_thread::get_id() != runner_) elsewhere = true;
                    count++;
                    count.notify_all();
                });
            }
        });
    }
    for (auto& sender : senders) sender.join();
    for (int seen = count; seen < kThreads * kMessages; seen = count) count.wait(seen);
    finish();
    EXPECT_FALSE(elsewhere);
}

TEST_F(RunningLoopTest, WakesForATimerThatAnotherThreadArms) {
    std::atomic<bool> expired{false};
    EventLoop::Timer far(*loop_, [] {});
    far.arm(UINT64_MAX);
    EventLoop::Timer timer(*loop_, [&] {
        expired = true;
        expired.notify_all();
    });
    timer.arm(host_clock().monotonic() + 1'000'000);
    expired.wait(false);
    finish();
}

TEST_F(RunningLoopTest, TimersAreArmedAndDestroyedFromOtherThreads) {
    std::atomic<int> expired{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
        threads.emplace_back([&] {
            for (int j = 0; j < 500; j++) {
                EventLoop::Timer timer(*loop_, [&] { expired++; });
                timer.arm(0);
                if (j % 2 == 0) timer.disarm();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_LE(expired, 1500);
    finish();
}

TEST(HostClock, GoesForward) {
    uint64_t before = host_clock().monotonic();
    EXPECT_GE(host_clock().monotonic(), before);
    EXPECT_GT(host_clock().realtime(), uint64_t{1'600'000'000} * 1'000'000'000);
}

TEST(ManualClock, StandsStillUntilTold) {
    ManualClock clock;
    clock.set_realtime(50);
    clock.advance(7);
    EXPECT_EQ(clock.monotonic(), 7u);
    EXPECT_EQ(clock.realtime(), 57u);
}

}  // namespace
}  // namespace doppel
