// The machine's time counter: what `mtime` and the `time` CSR show (Privileged Specification, "Machine Timer").
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/saved_state.h"

namespace doppel::device {

// A 64-bit counter of 10 MHz that follows the host's monotonic clock and wraps. Reading is thread-safe and lock-free.
// The clock must outlive it. Saved as its present value, so that guest time goes on from there on whatever host it is
// restored; restore it before the devices and vCPUs that compare with it.
class Timebase final : public Saved {
  public:
    static constexpr uint64_t kFrequency = 10'000'000;  // Hz, the device tree's timebase-frequency
    static constexpr uint64_t kNanosecondsPerTick = 1'000'000'000 / kFrequency;

    explicit Timebase(const Clock& clock) : clock_(clock) { set_quietly(0); }

    uint64_t now() const { return host_ticks() + offset_.load(std::memory_order_acquire); }

    // Makes the counter show `ticks` and go on from there; then tells the listeners.
    void set(uint64_t ticks);

    // Monotonic nanoseconds of the clock at which the counter, having shown `from` (a value that now() gave), next
    // shows `to`. nullopt when that lies beyond 2^64 ns. Two arguments, so that a caller compares and arms with the
    // same reading.
    std::optional<uint64_t> nanoseconds_at(uint64_t to, uint64_t from) const;

    // `jumped` runs after every set() and restore(), on that thread and perhaps with the timer device's lock held:
    // whoever compares with the counter by a deadline of its own computes it anew. Registered while the machine is
    // built.
    void on_jump(std::function<void()> jumped) { listeners_.push_back(std::move(jumped)); }

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    uint64_t host_ticks() const { return clock_.monotonic() / kNanosecondsPerTick; }
    void set_quietly(uint64_t ticks) { offset_.store(ticks - host_ticks(), std::memory_order_release); }

    const Clock& clock_;
    std::atomic<uint64_t> offset_{0};  // counter minus host ticks, modulo 2^64
    std::vector<std::function<void()>> listeners_;
};

}  // namespace doppel::device
