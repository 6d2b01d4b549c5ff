#include "device/virtio/fs/workers.h"

#include <utility>

namespace doppel::device::virtio::fs {

namespace {

thread_local bool on_worker = false;

}  // namespace

bool Workers::here() {
    return on_worker;
}

void Workers::start(unsigned threads) {
    for (unsigned i = 0; i < threads; i++) threads_.emplace_back([this] { run(); });
}

void Workers::stop() {
    {
        std::lock_guard guard(lock_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    stopping_ = false;
}

void Workers::submit(std::function<void()> job) {
    if (threads_.empty()) return job();
    {
        std::lock_guard guard(lock_);
        jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
}

void Workers::run() {
    on_worker = true;
    std::unique_lock guard(lock_);
    while (true) {
        wake_.wait(guard, [this] { return stopping_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        std::function<void()> job = std::move(jobs_.front());
        jobs_.pop_front();
        guard.unlock();
        job();
        job = nullptr;
        guard.lock();
    }
}

}  // namespace doppel::device::virtio::fs
