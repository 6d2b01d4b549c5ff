#include "storage/range_locks.h"

namespace doppel::storage {

// By an older one, granted or not.
bool RangeLocks::blocked(const Hold& hold) {
    for (const Hold* other = hold.before_; other != nullptr; other = other->before_) {
        if (other->conflicts(hold)) return true;
    }
    return false;
}

bool RangeLocks::add(Hold& hold) {
    hold.before_ = newest_;
    (newest_ != nullptr ? newest_->behind_ : oldest_) = &hold;
    newest_ = &hold;
    const bool free = (!hold.exclusive_ && exclusive_ == 0) || !blocked(hold);
    if (hold.exclusive_) exclusive_++;
    if (!free) waiting_++;
    return free;
}

void RangeLocks::remove(Hold& hold) {
    (hold.before_ != nullptr ? hold.before_->behind_ : oldest_) = hold.behind_;
    (hold.behind_ != nullptr ? hold.behind_->before_ : newest_) = hold.before_;
    if (hold.exclusive_) exclusive_--;
    Hold* next = hold.behind_;
    hold.before_ = hold.behind_ = nullptr;
    if (waiting_ == 0) return;
    // Tasks go on at the end, when the list is not looked at any more: they change it.
    std::deque<std::coroutine_handle<>> free;
    for (; next != nullptr; next = next->behind_) {
        if (next->granted_ || !next->conflicts(hold) || blocked(*next)) continue;
        next->granted_ = true;
        waiting_--;
        free.push_back(next->task_);
    }
    for (auto task : free) resume_in_turn(task);
}

}  // namespace doppel::storage
