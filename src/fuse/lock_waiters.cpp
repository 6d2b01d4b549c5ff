#include "fuse/lock_waiters.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace doppel::fuse {

namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstPause{1}, kLongestPause{64};

void finish(Exchange& exchange, uint64_t unique, int error_number) {
    Output out(exchange.reply());
    exchange.answer(out.finish(unique, error_number));
}

}  // namespace

LockWaiters::~LockWaiters() {
    {
        std::lock_guard guard(lock_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void LockWaiters::start_thread() {
    thread_ = std::thread([this] { run(); });
}

bool LockWaiters::add(std::unique_ptr<Exchange>& exchange, uint64_t unique, std::function<int()> attempt) {
    std::lock_guard guard(lock_);
    if (waiters_.size() >= kMost) return false;
    waiters_.push_back({std::move(exchange), unique, std::move(attempt)});
    poked_ = true;  // what it waits for may have gone since it was tried
    wake_.notify_all();
    return true;
}

bool LockWaiters::interrupt(uint64_t unique) {
    std::unique_lock guard(lock_);
    const auto found =
        std::find_if(waiters_.begin(), waiters_.end(), [&](const Waiter& waiter) { return waiter.unique == unique; });
    if (found == waiters_.end()) return false;
    Waiter waiter = std::move(*found);
    waiters_.erase(found);
    guard.unlock();
    finish(*waiter.exchange, unique, EINTR);
    return true;
}

void LockWaiters::poke() {
    std::lock_guard guard(lock_);
    if (waiters_.empty()) return;
    poked_ = true;
    wake_.notify_all();
}

void LockWaiters::clear() {
    std::list<Waiter> gone;
    std::unique_lock guard(lock_);
    gone.swap(waiters_);
    answered_.wait(guard, [this] { return !answering_; });
}

// Takes out those that are done. Attempts do not block, so they run under the lock: who clears has then seen the last.
std::list<LockWaiters::Waiter> LockWaiters::try_all_locked() {
    std::list<Waiter> finished;
    for (auto at = waiters_.begin(); at != waiters_.end();) {
        const auto waiter = at++;
        const int error = waiter->attempt();
        if (error == EAGAIN) continue;
        waiter->attempt = [error] { return error; };
        finished.splice(finished.end(), waiters_, waiter);
    }
    return finished;
}

void LockWaiters::run() {
    milliseconds pause = kFirstPause;
    std::unique_lock guard(lock_);
    while (!stopping_) {
        if (waiters_.empty()) {
            wake_.wait(guard, [this] { return stopping_ || !waiters_.empty(); });
            pause = kFirstPause;
        } else if (wake_.wait_for(guard, pause, [this] { return stopping_ || poked_; })) {
            pause = kFirstPause;
        } else {
            pause = std::min(pause * 2, kLongestPause);
        }
        poked_ = false;
        std::list<Waiter> finished = try_all_locked();
        if (finished.empty()) continue;
        answering_ = true;
        guard.unlock();
        for (Waiter& waiter : finished) finish(*waiter.exchange, waiter.unique, waiter.attempt());
        finished.clear();
        guard.lock();
        answering_ = false;
        answered_.notify_all();
    }
}

}  // namespace doppel::fuse
