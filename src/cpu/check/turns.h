// Who may go on, one at a time, in the order in which they came.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace doppel::cpu::check {

class Turns {
  public:
    void take() {
        std::unique_lock guard(lock_);
        uint64_t mine = next_++;
        changed_.wait(guard, [&] { return mine == now_; });
    }
    void give_up() {
        {
            std::lock_guard guard(lock_);
            now_++;
        }
        changed_.notify_all();
    }
    // By whose turn it is: lets those who wait go first.
    void pass() {
        {
            std::lock_guard guard(lock_);
            if (next_ == now_ + 1) return;
        }
        give_up();
        take();
    }

  private:
    std::mutex lock_;
    std::condition_variable changed_;
    uint64_t next_ = 0;  // for who comes
    uint64_t now_ = 0;   // whose turn it is
};

}  // namespace doppel::cpu::check
