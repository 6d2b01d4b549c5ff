// The threads that do what blocks, for all shares of a machine.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace doppel::device::virtio::fs {

// Thread-safe. Before `start` and after `stop`, jobs run where they are submitted: for tests.
class Workers {
  public:
    Workers() = default;
    ~Workers() { stop(); }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    void start(unsigned threads);
    void stop();  // what was submitted is done first
    void submit(std::function<void()> job);
    // Whether the calling thread is one of them, or of another machine's.
    static bool here();

  private:
    void run();

    std::mutex lock_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> jobs_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace doppel::device::virtio::fs
