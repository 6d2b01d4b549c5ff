#include "storage/io_context.h"

#include <poll.h>
#include <sys/epoll.h>

#include <array>

#include "storage/waiting.h"

namespace doppel::storage {

void IoOperation::await_suspend(std::coroutine_handle<> waiting) {
    task = waiting;
    context->add(*this);
}

Result<std::unique_ptr<IoContext>> IoContext::create(EventLoop* loop, const IoContextOptions& options) {
    std::unique_ptr<IoEngine> engine;
    if (options.allow_uring) {
        if (auto made = make_uring_engine()) engine = std::move(*made);
    }
    if (!engine) {
        DOPPEL_TRY(engine, make_thread_engine(options.threads));
    }
    const Clock& clock = loop != nullptr ? loop->clock() : options.clock != nullptr ? *options.clock : host_clock();
    std::unique_ptr<IoContext> context(new IoContext(loop, std::move(engine), clock));
    if (loop != nullptr) {
        // A confined process could not start them later.
        if (context->engine_->name() == "io_uring") context->has_callers();
        DOPPEL_CHECK(loop->watch(context->engine_->readiness(), EPOLLIN,
                                 [self = context.get()](uint32_t) { self->resume_completed(); }));
    }
    return context;
}

IoContext::IoContext(EventLoop* loop, std::unique_ptr<IoEngine> engine, const Clock& clock)
    : loop_(loop), engine_(std::move(engine)), clock_(&clock) {
    if (loop_ != nullptr) alarm_ = std::make_unique<EventLoop::Timer>(*loop_, [this] { run_timers(); });
}

IoContext::~IoContext() {
    *alive_ = false;
    if (loop_ == nullptr) return;
    loop_->unwatch(engine_->readiness());
    if (callers_) loop_->unwatch(callers_->readiness());
}

IoOperation IoContext::read(int fd, uint64_t offset, std::span<const iovec> parts) {
    return {.context = this, .kind = IoOperation::Kind::kRead, .fd = fd, .offset = offset, .parts = parts};
}

IoOperation IoContext::write(int fd, uint64_t offset, std::span<const iovec> parts, bool blocking) {
    return {.context = this,
            .kind = IoOperation::Kind::kWrite,
            .fd = fd,
            .offset = offset,
            .parts = parts,
            .blocking = blocking};
}

IoOperation IoContext::data_sync(int fd) {
    return {.context = this, .kind = IoOperation::Kind::kDataSync, .fd = fd};
}

IoOperation IoContext::fallocate(int fd, int mode, uint64_t offset, uint64_t length) {
    return {.context = this,
            .kind = IoOperation::Kind::kFallocate,
            .fd = fd,
            .offset = offset,
            .length = length,
            .mode = mode};
}

// False where no threads could be started.
bool IoContext::has_callers() {
    if (callers_) return true;
    constexpr unsigned kThreads = 4;
    auto made = make_thread_engine(kThreads);
    if (!made) return false;
    if (loop_ != nullptr &&
        !loop_->watch((*made)->readiness(), EPOLLIN, [this](uint32_t) { resume_completed(); }).has_value())
        return false;
    callers_ = std::move(*made);
    return true;
}

Result<> IoContext::restart_threads() {
    DOPPEL_CHECK(engine_->restart_threads());
    return callers_ ? callers_->restart_threads() : Result<>();
}

void IoContext::submit() {
    engine_->submit();
    if (callers_) callers_->submit();
}

void IoContext::add(IoOperation& operation) {
    const bool is_call = operation.kind == IoOperation::Kind::kCall;
    if (engine_->name() == "io_uring" && (is_call || operation.blocking) && has_callers()) {
        calls_under_way_++;
        callers_->add(operation);
    } else if (engine_->name() == "io_uring" && is_call) {
        operation.result = operation.call(operation.argument);
        resume_in_turn(operation.task);
        return;
    } else {
        engine_->add(operation);
    }
    under_way_++;
    // What one callback asks for goes to the kernel together.
    if (loop_ == nullptr || resuming_ || submission_posted_) return;
    submission_posted_ = true;
    loop_->post([this, alive = alive_] {
        if (!*alive) return;
        submission_posted_ = false;
        submit();
        resume_completed();  // what the host's cache has is there already
    });
}

size_t IoContext::take(bool wait, std::optional<uint64_t> nanoseconds) {
    constexpr size_t kBatch = 64;
    std::array<IoOperation*, kBatch> done;
    size_t count = 0;
    if (calls_under_way_ > 0) {
        if (wait && calls_under_way_ < under_way_) {
            // Two descriptors to wait for; which one it is, the calls below find out.
            std::array<pollfd, 2> ready{pollfd{engine_->readiness(), POLLIN, 0},
                                        pollfd{callers_->readiness(), POLLIN, 0}};
            ::poll(ready.data(), ready.size(), nanoseconds ? static_cast<int>(*nanoseconds / 1'000'000 + 1) : -1);
            wait = false;
        }
        count = callers_->take(std::span(done).first(kBatch / 2), wait, nanoseconds);
        calls_under_way_ -= count;
        wait = false;
    }
    count += engine_->take(std::span(done).subspan(count), wait, nanoseconds);
    under_way_ -= count;
    resuming_ = true;
    for (size_t i = 0; i < count; i++) resume_in_turn(done[i]->task);
    resuming_ = false;
    return count;
}

void IoContext::resume_completed() {
    // Bounded, so that busy disks do not keep the loop from its other descriptors.
    constexpr int kRounds = 4;
    for (int i = 0; i < kRounds && take(false, std::nullopt) > 0; i++) submit();
}

bool IoContext::step(bool wait) {
    submit();
    if (under_way_ == 0 && timers_.empty()) return false;
    std::optional<uint64_t> limit;
    if (!timers_.empty()) {
        const uint64_t now = clock_->monotonic();
        limit = timers_.begin()->first > now ? timers_.begin()->first - now : 0;
    }
    take(wait, limit);
    run_timers();
    return true;
}

void IoContext::add_timer(uint64_t deadline, std::coroutine_handle<> task) {
    const auto added = timers_.emplace(deadline, task);
    if (alarm_ && added == timers_.begin()) alarm_->arm(deadline);
}

void IoContext::run_timers() {
    const uint64_t now = clock_->monotonic();
    while (!timers_.empty() && timers_.begin()->first <= now) {
        auto task = timers_.begin()->second;
        timers_.erase(timers_.begin());
        resume_in_turn(task);
    }
    if (alarm_ && !timers_.empty()) alarm_->arm(timers_.begin()->first);
}

}  // namespace doppel::storage
