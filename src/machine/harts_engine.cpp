// Harts that go on by another engine: all that they are is in their states, which engines share.
#include <algorithm>

#include "machine/harts.h"

namespace doppel::machine {

void Harts::select(One& one, const cpu::Engine& engine) {
    auto found = std::ranges::find(one.vcpus, &engine, &One::OfEngine::engine);
    if (found == one.vcpus.end()) {
        one.vcpus.push_back(
            {&engine, engine.make_vcpu({one.state, surroundings_.memory, surroundings_.bus, environment_, one.trace})});
        found = one.vcpus.end() - 1;
    }
    cpu::Vcpu& vcpu = *found->vcpu;
    vcpu.set_debug_points(debug_points_);
    // What it knew is of another time, and what it was not told of is to be looked at.
    vcpu.request_translation_fence();
    vcpu.request_instruction_fence();
    one.current.store(&vcpu);
    // Behind the store: whoever notified the one before had changed the interrupts by then.
    vcpu.notify();
}

void Harts::change_engine(const cpu::Engine& engine) {
    std::vector<HartMotion> motions;
    for (auto& one : harts_) motions.push_back(one->motion.load());
    pause();
    for (auto& one : harts_) select(*one, engine);
    for (size_t i = 0; i < harts_.size(); i++) {
        if (motions[i] != HartMotion::kStay) open_gate(*harts_[i], motions[i]);
    }
}

}  // namespace doppel::machine
