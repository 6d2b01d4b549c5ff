// Standing still and going on: what debuggers and snapshots need of the harts.
#include <utility>

#include "machine/harts.h"

namespace doppel::machine {

using firmware::HartState;

void Harts::pause() {
    for (auto& one : harts_) {
        {
            std::lock_guard guard(one->lock);
            one->motion.store(HartMotion::kStay);
        }
        one->vcpu().request_exit();
        one->notify();
    }
    if (stopping_.load()) return;
    // A hart that one of its elders starts while they come to rest is not at rest yet: the second round waits for it.
    for (int round = 0; round < 2; round++) {
        for (auto& one : harts_) {
            std::unique_lock guard(one->lock);
            one->came_to_rest.wait(guard,
                                   [&] { return one->at_rest && one->run_state.load() != HartState::kStartPending; });
        }
    }
}

void Harts::resume() {
    for (auto& one : harts_) open_gate(*one, HartMotion::kRun);
}

void Harts::resume(std::span<const HartMotion> motions) {
    {
        std::lock_guard guard(debug_lock_);
        debug_stops_.clear();
    }
    for (unsigned i = 0; i < count(); i++) {
        One& one = *harts_[i];
        if (motions[i] == HartMotion::kStep && one.run_state.load() == HartState::kStopped) {
            note_debug_stop(i, one, cpu::ExitReason::kBudget);
        } else {
            open_gate(one, motions[i]);
        }
    }
}

std::vector<HartStop> Harts::take_debug_stops() {
    std::lock_guard guard(debug_lock_);
    return std::exchange(debug_stops_, {});
}

void Harts::set_debug_points(const std::shared_ptr<const cpu::DebugPoints>& points) {
    debug_points_ = points;
    for (auto& one : harts_) one->vcpu().set_debug_points(points);
}

void Harts::request_instruction_fences() {
    for (auto& one : harts_) one->vcpu().request_instruction_fence();
}

HartMotion Harts::pass_gate(One& one) {
    std::unique_lock guard(one.lock);
    wait_at_gate(one, guard);
    return stopping_.load() ? HartMotion::kStay : one.motion.load();
}

void Harts::wait_at_gate(One& one, std::unique_lock<std::mutex>& guard) {
    // Again, if it was to go on and is to stay after all.
    while (!stopping_.load() && one.motion.load() == HartMotion::kStay) {
        one.at_gate = one.at_rest = true;
        one.came_to_rest.notify_all();
        one.wake.wait(guard, [&] { return !one.at_gate; });
    }
}

void Harts::open_gate(One& one, HartMotion motion) {
    {
        std::lock_guard guard(one.lock);
        one.motion.store(motion);
    }
    if (motion != HartMotion::kStay) leave_gate(one);
}

void Harts::leave_gate(One& one) {
    {
        std::lock_guard guard(one.lock);
        // Here rather than by the hart's thread: who pauses next must not take it for being at rest still.
        if (one.at_gate) one.at_gate = one.at_rest = false;
    }
    one.wake.notify_all();
}

void Harts::note_debug_stop(unsigned index, One& one, cpu::ExitReason reason) {
    {
        std::lock_guard guard(one.lock);
        one.motion.store(HartMotion::kStay);
    }
    {
        std::lock_guard guard(debug_lock_);
        debug_stops_.push_back({index, reason, one.vcpu().watch_hit()});
    }
    if (surroundings_.debug_stop) surroundings_.debug_stop();
}

}  // namespace doppel::machine
