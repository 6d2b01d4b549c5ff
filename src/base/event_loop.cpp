#include "base/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <string>

namespace doppel {

namespace {

constexpr uint64_t kWakeEvent = UINT64_MAX;
constexpr int kMaxEvents = 64;

uint64_t event_key(int fd, uint32_t serial) {
    return uint64_t{serial} << 32 | static_cast<uint32_t>(fd);
}

// No `nanoseconds` waits without end. The nanoseconds of epoll_pwait2 (Linux 5.11) spare a guest's timers up to 1 ms of
// lateness.
int wait_for_events(int epoll, std::array<epoll_event, kMaxEvents>& events, std::optional<uint64_t> nanoseconds) {
    timespec limit{};
    if (nanoseconds) {
        limit.tv_sec = static_cast<time_t>(*nanoseconds / 1'000'000'000);
        limit.tv_nsec = static_cast<long>(*nanoseconds % 1'000'000'000);
    }
    int count = ::epoll_pwait2(epoll, events.data(), kMaxEvents, nanoseconds ? &limit : nullptr, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    constexpr uint64_t kLongest = 1'000'000;
    int milliseconds = -1;
    if (nanoseconds) milliseconds = static_cast<int>(std::min((*nanoseconds + 999'999) / 1'000'000, kLongest));
    return ::epoll_wait(epoll, events.data(), kMaxEvents, milliseconds);
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create(const Clock& clock) {
    std::unique_ptr<EventLoop> loop(new EventLoop(clock));
    loop->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!loop->epoll_) return fail(Error::system("create event loop", "epoll", errno));
    loop->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!loop->wake_) return fail(Error::system("create event loop", "eventfd", errno));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kWakeEvent;
    if (::epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->wake_.get(), &event) != 0) {
        return fail(Error::system("create event loop", "eventfd", errno));
    }
    return loop;
}

EventLoop::~EventLoop() = default;

void EventLoop::run() {
    {
        std::lock_guard guard(lock_);
        runner_ = std::this_thread::get_id();
    }
    while (!stopping_) run_once(true);
    run_messages();
    stopping_ = false;
    std::lock_guard guard(lock_);
    runner_ = {};
}

void EventLoop::run_ready() {
    run_once(false);
}

void EventLoop::stop() {
    stopping_ = true;
    wake();
}

void EventLoop::post(std::function<void()> message) {
    bool sleeping = false;
    {
        std::lock_guard guard(lock_);
        // Whoever posted the first message has woken the loop for all that follow.
        sleeping = messages_.empty() && loop_may_sleep_locked();
        messages_.push_back(std::move(message));
    }
    if (sleeping) wake();
}

bool EventLoop::loop_may_sleep_locked() const {
    return runner_ != std::this_thread::get_id();
}

void EventLoop::wake() {
    // The only failure is a counter that is full, and then the loop is awake already.
    uint64_t one = 1;
    [[maybe_unused]] ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

Result<> EventLoop::watch(int fd, uint32_t events, std::function<void(uint32_t)> ready) {
    if (watchers_.contains(fd)) {
        return fail(Error{"watch descriptor", std::to_string(fd), "it is watched already", ""});
    }
    uint32_t serial = next_serial_++ & 0x7fffffff;  // the top bit would collide with kWakeEvent
    epoll_event event{};
    event.events = events;
    event.data.u64 = event_key(fd, serial);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
        return fail(Error::system("watch descriptor", std::to_string(fd), errno));
    }
    watchers_.emplace(fd, Watcher{serial, std::make_shared<std::function<void(uint32_t)>>(std::move(ready))});
    return {};
}

Result<> EventLoop::change(int fd, uint32_t events) {
    auto found = watchers_.find(fd);
    if (found == watchers_.end()) {
        return fail(Error{"change watched events", std::to_string(fd), "it is not watched", ""});
    }
    epoll_event event{};
    event.events = events;
    event.data.u64 = event_key(fd, found->second.serial);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
        return fail(Error::system("change watched events", std::to_string(fd), errno));
    }
    return {};
}

void EventLoop::unwatch(int fd) {
    if (watchers_.erase(fd) == 0) return;
    // Fails where the descriptor was closed before, and then the kernel has removed it.
    epoll_event ignored{};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, &ignored);
}

void EventLoop::run_once(bool wait) {
    run_ready_watchers(wait);
    run_messages();
    run_timers();
}

void EventLoop::run_ready_watchers(bool wait) {
    std::array<epoll_event, kMaxEvents> events{};
    int count = wait_for_events(epoll_.get(), events, wait ? nanoseconds_to_wait() : std::optional<uint64_t>(0));
    for (int i = 0; i < count; i++) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        if (event.data.u64 == kWakeEvent) {
            uint64_t drained = 0;
            [[maybe_unused]] ssize_t got = ::read(wake_.get(), &drained, sizeof drained);
            continue;
        }
        auto found = watchers_.find(static_cast<int>(event.data.u64 & UINT32_MAX));
        if (found == watchers_.end() || found->second.serial != event.data.u64 >> 32) continue;
        auto ready = found->second.ready;  // the callback may unwatch itself
        (*ready)(event.events);
    }
}

void EventLoop::run_messages() {
    std::vector<std::function<void()>> messages;
    {
        std::lock_guard guard(lock_);
        messages.swap(messages_);
    }
    for (auto& message : messages) message();
}

// Only timers that were due at the start: one that arms itself for the past again must not keep the loop from its
// descriptors.
void EventLoop::run_timers() {
    uint64_t now = clock_.monotonic();
    std::vector<std::pair<uint64_t, uint64_t>> due;
    {
        std::lock_guard guard(lock_);
        due.assign(queue_.begin(), queue_.upper_bound({now, UINT64_MAX}));
    }
    for (const auto& entry : due) {
        std::shared_ptr<std::function<void()>> expired;
        {
            std::lock_guard guard(lock_);
            if (!queue_.contains(entry)) continue;  // disarmed meanwhile
            set_deadline_locked(entry.second, std::nullopt);
            expired = timers_.at(entry.second);
        }
        (*expired)();
    }
}

// Zero when there is something to do, nothing when there is no timer.
std::optional<uint64_t> EventLoop::nanoseconds_to_wait() {
    std::lock_guard guard(lock_);
    if (!messages_.empty()) return 0;
    if (queue_.empty()) return std::nullopt;
    uint64_t now = clock_.monotonic();
    uint64_t deadline = queue_.begin()->first;
    return deadline > now ? deadline - now : 0;
}

void EventLoop::set_deadline_locked(uint64_t timer, std::optional<uint64_t> deadline) {
    if (auto armed = deadlines_.find(timer); armed != deadlines_.end()) {
        queue_.erase({armed->second, timer});
        deadlines_.erase(armed);
    }
    if (!deadline) return;
    deadlines_.emplace(timer, *deadline);
    queue_.emplace(*deadline, timer);
}

EventLoop::Timer::Timer(EventLoop& loop, std::function<void()> expired) : loop_(loop) {
    std::lock_guard guard(loop_.lock_);
    id_ = loop_.next_timer_++;
    loop_.timers_.emplace(id_, std::make_shared<std::function<void()>>(std::move(expired)));
}

EventLoop::Timer::~Timer() {
    std::shared_ptr<std::function<void()>> expired;  // what the callback owns is destroyed after the lock is released
    std::lock_guard guard(loop_.lock_);
    loop_.set_deadline_locked(id_, std::nullopt);
    auto found = loop_.timers_.find(id_);
    expired = std::move(found->second);
    loop_.timers_.erase(found);
}

void EventLoop::Timer::arm(uint64_t deadline) {
    bool sooner = false;
    {
        std::lock_guard guard(loop_.lock_);
        loop_.set_deadline_locked(id_, deadline);
        sooner = loop_.queue_.begin()->second == id_ && loop_.loop_may_sleep_locked();
    }
    if (sooner) loop_.wake();
}

void EventLoop::Timer::disarm() {
    std::lock_guard guard(loop_.lock_);
    loop_.set_deadline_locked(id_, std::nullopt);
}

}  // namespace doppel
