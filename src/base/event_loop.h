// The I/O thread's loop: file descriptors, timers and messages from other threads, over epoll.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel {

// One thread runs the loop; callbacks run on it. `post`, `stop` and Timer are thread-safe; `watch` and `unwatch` belong
// to the loop's thread (or to the time before `run`). A callback may unwatch any descriptor, its own included.
class EventLoop {
  public:
    static Result<std::unique_ptr<EventLoop>> create(const Clock& clock = host_clock());
    ~EventLoop();

    void run();        // until stop(), which may come first; what was posted before stop() still runs
    void run_ready();  // one round without waiting: for tests
    void stop();
    void post(std::function<void()> message);  // runs on the loop's thread, in order

    // `events` and the callback's argument are EPOLLIN and so on. One watcher a descriptor.
    Result<> watch(int fd, uint32_t events, std::function<void(uint32_t)> ready);
    Result<> change(int fd, uint32_t events);
    void unwatch(int fd);

    // A one-shot timer. The loop must outlive it. `disarm` and the destructor do not wait for a callback under way on
    // another thread, so what the callback touches must live as long as the loop.
    class Timer {
      public:
        Timer(EventLoop& loop, std::function<void()> expired);
        ~Timer();
        Timer(const Timer&) = delete;
        Timer& operator=(const Timer&) = delete;
        void arm(uint64_t deadline);  // nanoseconds of the loop's clock, monotonic; replaces an earlier deadline
        void disarm();

      private:
        EventLoop& loop_;
        uint64_t id_;
    };

    const Clock& clock() const { return clock_; }

  private:
    explicit EventLoop(const Clock& clock) : clock_(clock) {}
    struct Watcher {
        uint32_t serial;  // tells a stale event of a descriptor from one of its successor with the same number
        std::shared_ptr<std::function<void(uint32_t)>> ready;
    };
    void run_once(bool wait);
    void run_ready_watchers(bool wait);
    void run_messages();
    void run_timers();
    std::optional<uint64_t> nanoseconds_to_wait();
    void set_deadline_locked(uint64_t timer, std::optional<uint64_t> deadline);
    bool loop_may_sleep_locked() const;
    void wake();

    const Clock& clock_;
    UniqueFd epoll_;
    UniqueFd wake_;
    std::atomic<bool> stopping_{false};
    std::unordered_map<int, Watcher> watchers_;
    uint32_t next_serial_ = 0;

    std::mutex lock_;         // leaf: nothing else is locked, and no callback runs, while it is held
    std::thread::id runner_;  // the thread inside run()
    std::vector<std::function<void()>> messages_;
    std::unordered_map<uint64_t, std::shared_ptr<std::function<void()>>> timers_;
    std::unordered_map<uint64_t, uint64_t> deadlines_;
    std::set<std::pair<uint64_t, uint64_t>> queue_;  // (deadline, timer)
    uint64_t next_timer_ = 1;
};

}  // namespace doppel
