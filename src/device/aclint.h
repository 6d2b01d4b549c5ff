// RISC-V ACLINT: software interrupts between harts and the machine timer. Source: RISC-V Advanced Core Local
// Interruptor Specification 1.0-rc4. Clint is its MTIMER and MSWI devices in the layout of "Backward compatibility with
// SiFive CLINT"; Sswi is its SSWI device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/saved_state.h"
#include "device/device.h"
#include "device/interrupt.h"
#include "device/timebase.h"

namespace doppel::device {

// msip at 4 * hart, mtimecmp at 0x4000 + 8 * hart, mtime at 0xbff8; 32- and 64-bit accesses. The time itself belongs to
// the Timebase, which is saved apart and restored first. save() and restore() take the lock. Must live until the loop
// has stopped.
class Clint final : public Device, public Saved {
  public:
    static constexpr uint64_t kSize = 0x10000;
    static constexpr size_t kMaxHarts = 4095;  // further ones have no registers

    struct HartLines {
        InterruptLine software;  // MSIP
        InterruptLine timer;     // MTIP
    };

    // The loop runs over the timebase's clock.
    Clint(Timebase& timebase, EventLoop& loop, std::vector<HartLines> harts);

    std::string_view name() const override { return "clint"; }
    uint64_t read(uint64_t offset, unsigned bytes) override;
    void write(uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset() override;  // the time too: it starts again from 0

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    struct Registers {
        std::vector<uint8_t> msip;       // 0 or 1, one a hart
        std::vector<uint64_t> mtimecmp;  // ticks, one a hart

        template <class V>
        void fields(V& v) {
            v.field(1, msip);
            v.field(2, mtimecmp);
        }
    };

    Registers initial_registers() const;
    uint32_t read_word(uint64_t offset) const;
    void write_word(uint64_t offset, uint32_t value);
    void write_time_register(uint64_t offset, uint64_t value);
    void update_timer(size_t hart);
    void update_all();

    Timebase& timebase_;
    const std::vector<HartLines> lines_;
    Registers registers_;
    std::deque<EventLoop::Timer> timers_;  // one a hart; a deque, as they cannot move
};

// setssip at 4 * hart: writing 1 sends the hart an edge, which sets SSIP in its mip. The edge is a pulse on the hart's
// line: the receiver latches set_level(true) and ignores the false that follows. No state.
class Sswi final : public Device, public Saved {
  public:
    static constexpr uint64_t kSize = 0x4000;

    explicit Sswi(std::vector<InterruptLine> harts) : lines_(std::move(harts)) {}

    std::string_view name() const override { return "sswi"; }
    uint64_t read(uint64_t, unsigned) override { return 0; }
    void write(uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset() override {}

    void save(StateWriter&) const override {}
    Result<> restore(StateReader& reader) override { return reader.finish("restore sswi"); }

  private:
    const std::vector<InterruptLine> lines_;
};

}  // namespace doppel::device
