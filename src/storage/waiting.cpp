#include "storage/waiting.h"

namespace doppel::storage {

void resume_in_turn(std::coroutine_handle<> task) {
    thread_local std::deque<std::coroutine_handle<>> turns;
    thread_local bool running = false;
    turns.push_back(task);
    if (running) return;
    running = true;
    while (!turns.empty()) {
        auto next = turns.front();
        turns.pop_front();
        next.resume();
    }
    running = false;
}

}  // namespace doppel::storage
