// Google goldfish real-time clock: nanoseconds since 1970-01-01 UTC and one alarm (google,goldfish-rtc). Source:
// Android emulator, docs/GOLDFISH-VIRTUAL-HARDWARE.TXT, "Goldfish timer"; as Linux drivers/rtc/rtc-goldfish.c drives
// it.
#pragma once

#include <cstdint>

#include "base/event_loop.h"
#include "base/saved_state.h"
#include "device/device.h"
#include "device/interrupt.h"

namespace doppel::device {

// Follows the loop's realtime clock plus an offset that the guest sets; the offset is what is saved. 32-bit registers.
// save() and restore() take the lock. Must live until the loop has stopped.
class GoldfishRtc final : public Device, public Saved {
  public:
    static constexpr uint64_t kSize = 0x1000;

    GoldfishRtc(EventLoop& loop, InterruptLine line);

    std::string_view name() const override { return "goldfish-rtc"; }
    uint64_t read(uint64_t offset, unsigned bytes) override;
    void write(uint64_t offset, unsigned bytes, uint64_t value) override;
    void reset() override;

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    struct Registers {
        uint64_t offset = 0;      // guest time minus host time, ns, modulo 2^64
        uint64_t alarm = 0;       // guest time, ns
        uint32_t time_high = 0;   // latched by reading TIME_LOW
        uint32_t alarm_high = 0;  // becomes part of the alarm when ALARM_LOW is written
        bool alarm_running = false;
        bool interrupt_enabled = false;
        bool interrupt_pending = false;

        template <class V>
        void fields(V& v) {
            v.field(1, offset);
            v.field(2, alarm);
            v.field(3, time_high);
            v.field(4, alarm_running);
            v.field(5, interrupt_enabled);
            v.field(6, interrupt_pending);
            v.field(7, alarm_high);
        }
    };

    uint64_t now() const { return clock_.realtime() + registers_.offset; }
    // The alarm is looked at when TIME_LOW is written, which completes a new time: the half-written one must not set it
    // off.
    void set_time(uint64_t nanoseconds) { registers_.offset = nanoseconds - clock_.realtime(); }
    void update_alarm();
    void update_line() const { line_.set(registers_.interrupt_enabled && registers_.interrupt_pending); }

    const Clock& clock_;
    const InterruptLine line_;
    Registers registers_;
    EventLoop::Timer timer_;
};

}  // namespace doppel::device
