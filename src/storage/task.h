// Requests as coroutines. A task starts when it is made and runs until it has to wait; who awaits it goes on when it is
// done. All tasks of a device run on the thread that owns it.
//
// GCC 12 destroys at the wrong time, or copies bit by bit, what is made within a conditional operator that has a
// co_await in it, and arguments that are temporaries or braced lists with destructors: give them names.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

namespace doppel::storage {

// Awaited exactly once, or kept until done(). Tasks that are under way must not be destroyed.
template <class T>
class [[nodiscard]] Task {
  public:
    class promise_type {
      public:
        Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        // Eager: what completes at once costs no switch, and loops over such tasks do not nest.
        std::suspend_never initial_suspend() noexcept { return {}; }
        auto final_suspend() noexcept { return Final{}; }
        template <class U>
        void return_value(U&& value) {
            value_.emplace(std::forward<U>(value));
        }
        void unhandled_exception() { std::terminate(); }  // only memory can run out, as everywhere

      private:
        friend class Task;
        struct Final {
            bool await_ready() noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
                std::coroutine_handle<> next = self.promise().awaiting_;
                return next ? next : std::noop_coroutine();
            }
            void await_resume() noexcept {}
        };
        std::optional<T> value_;
        std::coroutine_handle<> awaiting_;
    };

    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (handle_) handle_.destroy();
    }

    bool done() const { return handle_.done(); }
    T take() { return std::move(*handle_.promise().value_); }  // once done

    bool await_ready() const noexcept { return handle_.done(); }
    void await_suspend(std::coroutine_handle<> awaiting) noexcept { handle_.promise().awaiting_ = awaiting; }
    T await_resume() { return take(); }

  private:
    explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
    std::coroutine_handle<promise_type> handle_;
};

template <class T>
Task<T> ready(T value) {
    co_return value;
}

// A coroutine that nobody awaits.
struct Detached {
    struct promise_type {
        Detached get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
};

// For callers that are no coroutines: `done` is called with the result, perhaps before this returns.
template <class T, class Done>
Detached start(Task<T> task, Done done) {
    T value = co_await task;
    done(std::move(value));
}

}  // namespace doppel::storage
