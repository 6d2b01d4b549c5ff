// Operations as system calls on a few threads.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "storage/io_context.h"

namespace doppel::storage {

namespace {

int64_t carry_out_once(IoOperation& operation) {
    const auto offset = static_cast<off_t>(operation.offset);
    const auto count = static_cast<int>(operation.parts.size());
    switch (operation.kind) {
        case IoOperation::Kind::kRead:
            return ::preadv(operation.fd, operation.parts.data(), count, offset);
        case IoOperation::Kind::kWrite:
            return ::pwritev(operation.fd, operation.parts.data(), count, offset);
        case IoOperation::Kind::kDataSync:
            return ::fdatasync(operation.fd);
        case IoOperation::Kind::kFallocate:
            return ::fallocate(operation.fd, operation.mode, offset, static_cast<off_t>(operation.length));
        case IoOperation::Kind::kCall:
            return 0;
    }
    return 0;
}

int carry_out(IoOperation& operation) {
    if (operation.kind == IoOperation::Kind::kCall) return operation.call(operation.argument);
    int64_t result = 0;
    do {
        result = carry_out_once(operation);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : static_cast<int>(std::min<int64_t>(result, INT32_MAX));
}

class ThreadEngine : public IoEngine {
  public:
    ~ThreadEngine() override { stop(); }

    Result<> make(unsigned threads) {
        ready_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!ready_) return fail(Error::system("set up disk input and output", "eventfd", errno));
        return start(std::max(threads, 1u));
    }

    Result<> restart_threads() override {
        const auto count = static_cast<unsigned>(threads_.size());
        stop();
        stopping_ = false;
        return start(count);
    }

    void add(IoOperation& operation) override { added_.push_back(&operation); }

    void submit() override {
        if (added_.empty()) return;
        const bool several = added_.size() > 1;
        {
            std::lock_guard guard(lock_);
            waiting_.insert(waiting_.end(), added_.begin(), added_.end());
        }
        added_.clear();
        if (several)
            work_.notify_all();
        else
            work_.notify_one();
    }

    size_t take(std::span<IoOperation*> into, bool wait, std::optional<uint64_t> nanoseconds) override {
        if (wait) {
            pollfd entry{ready_.get(), POLLIN, 0};
            ::poll(&entry, 1, nanoseconds ? static_cast<int>(*nanoseconds / 1'000'000 + 1) : -1);
        }
        std::lock_guard guard(lock_);
        const size_t count = std::min(into.size(), done_.size());
        std::copy_n(done_.begin(), count, into.begin());
        done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
        if (done_.empty()) {
            uint64_t drained = 0;
            [[maybe_unused]] ssize_t got = ::read(ready_.get(), &drained, sizeof drained);
        }
        return count;
    }

    int readiness() const override { return ready_.get(); }
    std::string_view name() const override { return "threads"; }

  private:
    // As many as can be made; an error where that is none.
    Result<> start(unsigned count) {
        try {
            while (threads_.size() < count) threads_.emplace_back([this] { work(); });
        } catch (const std::system_error& error) {
            if (threads_.empty())
                return fail(Error::system("set up disk input and output", "threads", error.code().value()));
        }
        return {};
    }
    void stop() {
        {
            std::lock_guard guard(lock_);
            stopping_ = true;
        }
        work_.notify_all();
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
    }
    void work() {
        std::unique_lock guard(lock_);
        while (true) {
            work_.wait(guard, [this] { return stopping_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            IoOperation* operation = waiting_.front();
            waiting_.pop_front();
            guard.unlock();
            operation->result = carry_out(*operation);
            guard.lock();
            done_.push_back(operation);
            if (done_.size() > 1) continue;  // who added the first has told the owner
            uint64_t one = 1;
            [[maybe_unused]] ssize_t written = ::write(ready_.get(), &one, sizeof one);
        }
    }

    UniqueFd ready_;
    std::vector<IoOperation*> added_;  // the owner's
    std::mutex lock_;                  // leaf; guards what follows
    std::condition_variable work_;
    std::deque<IoOperation*> waiting_, done_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<IoEngine>> make_thread_engine(unsigned threads) {
    auto engine = std::make_unique<ThreadEngine>();
    DOPPEL_CHECK(engine->make(threads));
    return engine;
}

}  // namespace doppel::storage
