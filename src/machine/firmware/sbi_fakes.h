// A machine as the SBI sees it, for its tests and its fuzzer.
#pragma once

#include <algorithm>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "machine/firmware/firmware.h"

namespace doppel::machine::firmware::fake {

inline constexpr uint64_t kRam = 0x8000'0000, kRamSize = 64 * memory::kPageSize;
inline constexpr uint64_t kRom = 0x1000, kRomSize = memory::kPageSize;

class Vcpu final : public cpu::Vcpu {
  public:
    cpu::ExitReason run(uint64_t) override { return cpu::ExitReason::kBudget; }
    void set_debug_points(std::shared_ptr<const cpu::DebugPoints>) override {}
    cpu::ExitReason step() override { return cpu::ExitReason::kBudget; }
    const cpu::WatchHit& watch_hit() const override { return hit_; }
    bool take_translation_fence() { return (requests_so_far() & kTranslationFence) != 0 && clear(kTranslationFence); }
    bool take_instruction_fence() { return (requests_so_far() & kInstructionFence) != 0 && clear(kInstructionFence); }

  private:
    uint32_t requests_so_far() { return seen_ |= take_requests(); }
    bool clear(uint32_t what) {
        seen_ &= ~what;
        return true;
    }
    uint32_t seen_ = 0;
    cpu::WatchHit hit_;
};

struct Started {
    unsigned hart;
    uint64_t pc;
    uint64_t opaque;
    bool operator==(const Started&) const = default;
};
struct Reset {
    SystemReset kind;
    bool failed;
    bool operator==(const Reset&) const = default;
};

class Machine final : public Services {
  public:
    // RAM at kRam, a ROM at kRom. `ready` tells whether the host had the memory.
    explicit Machine(unsigned harts) : states(harts, HartState::kStarted), vcpus(harts) {
        ready = ram.add_region(kRam, kRamSize).has_value() && ram.add_region(kRom, kRomSize, false).has_value();
    }

    unsigned hart_count() const override { return static_cast<unsigned>(states.size()); }
    Vcpu& vcpu(unsigned hart) override { return vcpus.at(hart); }
    memory::GuestMemory& memory() override { return ram; }
    uint64_t time() const override { return 1000; }
    void raise_software_interrupt(unsigned hart) override {
        static_cast<void>(vcpus.at(hart));
        interrupted |= uint64_t{1} << hart;
    }
    HartState hart_state(unsigned hart) const override { return states.at(hart); }
    bool start_hart(unsigned hart, uint64_t pc, uint64_t opaque) override {
        if (states.at(hart) != HartState::kStopped) return false;
        started.push_back({hart, pc, opaque});
        states[hart] = HartState::kStartPending;
        return true;
    }
    void wait_for_fences(unsigned caller, uint64_t harts) override { waits.emplace_back(caller, harts); }
    void console_write(std::span<const uint8_t> bytes) override { output.append(bytes.begin(), bytes.end()); }
    size_t console_read(std::span<uint8_t> bytes) override {
        size_t count = std::min(bytes.size(), input.size());
        std::copy_n(input.begin(), count, bytes.begin());
        input.erase(0, count);
        return count;
    }
    void reset_system(SystemReset kind, bool failed) override { resets.push_back({kind, failed}); }

    bool ready = false;
    memory::GuestMemory ram;
    std::vector<HartState> states;
    std::deque<Vcpu> vcpus;  // they do not move
    uint64_t interrupted = 0;
    std::vector<Started> started;
    std::vector<std::pair<unsigned, uint64_t>> waits;
    std::vector<Reset> resets;
    std::string output, input;
};

}  // namespace doppel::machine::firmware::fake
