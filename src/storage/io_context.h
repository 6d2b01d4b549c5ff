// Where a thread's disks do their input and output: io_uring, or a few threads where the kernel refuses it.
#pragma once

#include <sys/uio.h>

#include <coroutine>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/result.h"
#include "storage/task.h"

namespace doppel::storage {

class IoContext;

// One system call under way. `co_await` gives its result: bytes, or an errno value negated. Everything that it points
// to must last until then.
class IoOperation {
  public:
    enum class Kind : uint8_t { kRead, kWrite, kDataSync, kFallocate, kCall };

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> task);
    int await_resume() const noexcept { return result; }

    IoContext* context;
    Kind kind;
    int fd = -1;
    uint64_t offset = 0;
    uint64_t length = 0;  // kFallocate
    std::span<const iovec> parts = {};
    int mode = 0;           // kFallocate's
    bool blocking = false;  // kWrite: the file system would have the kernel's own threads wait, one behind the other
    int (*call)(void*) = nullptr;
    void* argument = nullptr;
    int result = 0;
    std::coroutine_handle<> task = {};
};

// How operations get done. Used by its context alone.
class IoEngine {
  public:
    virtual ~IoEngine() = default;
    virtual void add(IoOperation& operation) = 0;
    virtual void submit() = 0;  // what was added and not begun
    // Takes completed operations; waits for one, up to `nanoseconds` where given, if `wait`.
    virtual size_t take(std::span<IoOperation*> into, bool wait, std::optional<uint64_t> nanoseconds) = 0;
    virtual int readiness() const = 0;  // a descriptor that is readable when `take` would find something
    virtual Result<> restart_threads() { return {}; }
    virtual std::string_view name() const = 0;
};

Result<std::unique_ptr<IoEngine>> make_uring_engine();
Result<std::unique_ptr<IoEngine>> make_thread_engine(unsigned threads);

struct IoContextOptions {
    bool allow_uring = true;
    unsigned threads = 4;          // of the pool that serves instead
    const Clock* clock = nullptr;  // the event loop's, or the host's
};

// Belongs to one thread: the event loop's, or the one that calls `run`.
class IoContext {
  public:
    static constexpr size_t kMaxParts = 1024;  // of one operation (IOV_MAX)

    // With a loop, tasks go on in its callbacks; it must outlive this. All threads are started here: a confined process
    // can make the context first.
    static Result<std::unique_ptr<IoContext>> create(EventLoop* loop = nullptr, const IoContextOptions& options = {});
    ~IoContext();
    IoContext(const IoContext&) = delete;
    IoContext& operator=(const IoContext&) = delete;

    // At most kMaxParts parts.
    IoOperation read(int fd, uint64_t offset, std::span<const iovec> parts);
    IoOperation write(int fd, uint64_t offset, std::span<const iovec> parts, bool blocking = false);
    IoOperation data_sync(int fd);
    IoOperation fallocate(int fd, int mode, uint64_t offset, uint64_t length);
    // `function`, a variable of the caller's, runs on another thread (or on this one, where none could be started) and
    // answers as a system call does, with a negated errno value.
    template <class F>
    IoOperation call(F& function) {
        return {.context = this,
                .kind = IoOperation::Kind::kCall,
                .call = [](void* argument) -> int { return (*static_cast<F*>(argument))(); },
                .argument = &function};
    }

    auto sleep_until(uint64_t deadline) {  // nanoseconds of clock()
        struct Awaiter {
            IoContext& context;
            uint64_t deadline;
            bool await_ready() const { return context.clock().monotonic() >= deadline; }
            void await_suspend(std::coroutine_handle<> task) { context.add_timer(deadline, task); }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this, deadline};
    }
    const Clock& clock() const { return *clock_; }
    std::string_view engine() const { return engine_->name(); }

    // Replaces its threads, which inherit what the calling thread is confined by meanwhile. While nothing is under way.
    Result<> restart_threads();

    // While no event loop runs: lets things happen, and waits for the first if `wait`. False where nothing is under
    // way.
    bool step(bool wait);
    // The same: drives a task, and all others, until it is done.
    template <class T>
    T run(Task<T> task) {
        while (!task.done() && step(true)) {
        }
        return task.take();
    }

  private:
    friend class IoOperation;
    IoContext(EventLoop* loop, std::unique_ptr<IoEngine> engine, const Clock& clock);
    void add(IoOperation& operation);
    void add_timer(uint64_t deadline, std::coroutine_handle<> task);
    void resume_completed();
    void run_timers();
    size_t take(bool wait, std::optional<uint64_t> nanoseconds);
    bool has_callers();
    void submit();

    EventLoop* loop_;
    std::unique_ptr<IoEngine> engine_;
    std::unique_ptr<IoEngine> callers_;  // threads beside io_uring, for what it does not do better
    const Clock* clock_;
    std::unique_ptr<EventLoop::Timer> alarm_;
    std::multimap<uint64_t, std::coroutine_handle<>> timers_;
    size_t under_way_ = 0, calls_under_way_ = 0;
    bool submission_posted_ = false;
    bool resuming_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // messages may outlive the context
};

}  // namespace doppel::storage
