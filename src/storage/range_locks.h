// Ranges that requests work on: shared by those that leave the mapping alone, exclusive for those that change it.
#pragma once

#include <coroutine>
#include <cstdint>

#include "storage/waiting.h"

namespace doppel::storage {

class RangeLocks {
  public:
    // A local variable of the task that holds it: `RangeLocks::Hold hold(locks, first, last, true); co_await hold;`.
    // Granted in the order of asking where ranges overlap. Released by the destructor, or before.
    class Hold {
      public:
        Hold(RangeLocks& locks, uint64_t first, uint64_t last, bool exclusive)
            : locks_(locks), first_(first), last_(last), exclusive_(exclusive) {}
        ~Hold() { release(); }
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;
        void release() {
            if (granted_) locks_.remove(*this);
            granted_ = false;
        }

        bool await_ready() { return granted_ = locks_.add(*this); }
        void await_suspend(std::coroutine_handle<> task) { task_ = task; }
        void await_resume() const noexcept {}

      private:
        friend class RangeLocks;
        bool conflicts(const Hold& other) const {
            return (exclusive_ || other.exclusive_) && first_ <= other.last_ && other.first_ <= last_;
        }
        RangeLocks& locks_;
        const uint64_t first_, last_;
        const bool exclusive_;
        bool granted_ = false;
        std::coroutine_handle<> task_;
        Hold* before_ = nullptr;
        Hold* behind_ = nullptr;
    };

  private:
    bool add(Hold& hold);
    void remove(Hold& hold);
    static bool blocked(const Hold& hold);

    Hold* oldest_ = nullptr;
    Hold* newest_ = nullptr;
    size_t exclusive_ = 0;  // in the list, granted or not
    size_t waiting_ = 0;
};

}  // namespace doppel::storage
