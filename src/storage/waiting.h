// What tasks of one thread wait for: each other.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <utility>

namespace doppel::storage {

// Resumes it now, or, inside another call of this on the same thread, when that one's task has come to rest: long
// queues of tasks that wake each other take no stack.
void resume_in_turn(std::coroutine_handle<> task);

// Tasks that wait to be told.
class WaitingTasks {
  public:
    bool empty() const { return tasks_.empty(); }
    void wake_one() {
        if (tasks_.empty()) return;
        auto task = tasks_.front();
        tasks_.pop_front();
        resume_in_turn(task);
    }
    // Those that wait now; not those that begin to wait meanwhile.
    void wake_all() {
        std::deque<std::coroutine_handle<>> tasks;
        tasks.swap(tasks_);
        for (auto task : tasks) resume_in_turn(task);
    }
    auto wait() {
        struct Awaiter {
            WaitingTasks& owner;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> task) { owner.tasks_.push_back(task); }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }

  private:
    std::deque<std::coroutine_handle<>> tasks_;
};

// Held by one task at a time, in the order of asking: `const TaskLock::Guard guard = co_await lock.hold();`
class TaskLock {
  public:
    class Guard {
      public:
        explicit Guard(TaskLock* lock) : lock_(lock) {}
        Guard(Guard&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
        Guard& operator=(Guard&&) = delete;
        ~Guard() { release(); }
        void release() {
            if (TaskLock* lock = std::exchange(lock_, nullptr)) lock->release();
        }

      private:
        TaskLock* lock_;
    };
    auto hold() {
        struct Awaiter {
            TaskLock& owner;
            bool await_ready() const noexcept {
                if (owner.held_) return false;
                owner.held_ = true;
                return true;
            }
            void await_suspend(std::coroutine_handle<> task) { owner.tasks_.push_back(task); }
            Guard await_resume() const noexcept { return Guard(&owner); }
        };
        return Awaiter{*this};
    }

  private:
    void release() {
        if (tasks_.empty()) {
            held_ = false;
            return;
        }
        auto task = tasks_.front();  // the lock goes over to it
        tasks_.pop_front();
        resume_in_turn(task);
    }
    bool held_ = false;
    std::deque<std::coroutine_handle<>> tasks_;
};

}  // namespace doppel::storage
