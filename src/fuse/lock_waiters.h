// Requests that wait for a lock: they keep no worker. One thread tries again, at once when a client of this server let
// go of something, and from time to time because processes of the host do so unnoticed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "fuse/exchange.h"

namespace doppel::fuse {

// Thread-safe.
class LockWaiters {
  public:
    static constexpr size_t kMost = 256;  // a queue must keep room for whoever lets go

    LockWaiters() = default;
    ~LockWaiters();
    LockWaiters(const LockWaiters&) = delete;
    LockWaiters& operator=(const LockWaiters&) = delete;

    // Without it, nobody tries again.
    void start_thread();
    // `attempt` gives 0, EAGAIN to go on waiting, or an error number. False, and the exchange left, when too many wait.
    bool add(std::unique_ptr<Exchange>& exchange, uint64_t unique, std::function<int()> attempt);
    // Ends the wait of this request with EINTR. False when it does not wait.
    bool interrupt(uint64_t unique);
    void poke();
    // Drops all, unanswered; when it returns no attempt is under way, and no answer.
    void clear();

  private:
    struct Waiter {
        std::unique_ptr<Exchange> exchange;
        uint64_t unique;
        std::function<int()> attempt;
    };
    void run();
    std::list<Waiter> try_all_locked();

    std::mutex lock_;
    std::condition_variable wake_;
    std::list<Waiter> waiters_;
    std::condition_variable answered_;
    bool answering_ = false;
    bool poked_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace doppel::fuse
