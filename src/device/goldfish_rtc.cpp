#include "device/goldfish_rtc.h"

#include <algorithm>
#include <limits>

namespace doppel::device {

namespace {

constexpr uint64_t kTimeLow = 0x00;
constexpr uint64_t kTimeHigh = 0x04;
constexpr uint64_t kAlarmLow = 0x08;
constexpr uint64_t kAlarmHigh = 0x0c;
constexpr uint64_t kInterruptEnabled = 0x10;
constexpr uint64_t kClearAlarm = 0x14;
constexpr uint64_t kAlarmStatus = 0x18;
constexpr uint64_t kClearInterrupt = 0x1c;

// The host's realtime may be set, and its monotonic clock stands still in suspend: a running alarm is looked at this
// often.
constexpr uint64_t kLongestSleep = 10'000'000'000;

uint64_t with_low(uint64_t whole, uint64_t low) {
    return (whole & 0xffffffff00000000) | (low & 0xffffffff);
}

uint64_t with_high(uint64_t whole, uint64_t high) {
    return (whole & 0xffffffff) | (high << 32);
}

}  // namespace

GoldfishRtc::GoldfishRtc(EventLoop& loop, InterruptLine line)
    : clock_(loop.clock()), line_(line), timer_(loop, [this] {
          std::lock_guard guard(lock());
          update_alarm();
      }) {}

uint64_t GoldfishRtc::read(uint64_t offset, unsigned bytes) {
    if (bytes != 4) return 0;
    switch (offset) {
        case kTimeLow: {
            uint64_t time = now();
            registers_.time_high = static_cast<uint32_t>(time >> 32);
            return static_cast<uint32_t>(time);
        }
        case kTimeHigh:
            return registers_.time_high;
        case kAlarmLow:
            return static_cast<uint32_t>(registers_.alarm);
        case kAlarmHigh:
            return registers_.alarm_high;
        case kInterruptEnabled:
            return registers_.interrupt_enabled;
        case kAlarmStatus:
            return registers_.alarm_running;
        default:
            return 0;
    }
}

void GoldfishRtc::write(uint64_t offset, unsigned bytes, uint64_t value) {
    if (bytes != 4) return;
    switch (offset) {
        case kTimeLow:
            set_time(with_low(now(), value));
            return update_alarm();
        case kTimeHigh:
            return set_time(with_high(now(), value));
        case kAlarmLow:
            registers_.alarm = with_low(uint64_t{registers_.alarm_high} << 32, value);
            registers_.alarm_running = true;
            return update_alarm();
        case kAlarmHigh:
            registers_.alarm_high = static_cast<uint32_t>(value);
            return;
        case kInterruptEnabled:
            registers_.interrupt_enabled = (value & 1) != 0;
            return update_line();
        case kClearAlarm:
            registers_.alarm_running = false;
            return update_alarm();
        case kClearInterrupt:
            registers_.interrupt_pending = false;
            return update_line();
        default:
            return;
    }
}

void GoldfishRtc::reset() {
    registers_ = {};
    update_alarm();
    update_line();
}

// Also the timer's callback: it may come early (see kLongestSleep) or for a deadline that has moved since.
void GoldfishRtc::update_alarm() {
    if (!registers_.alarm_running) return timer_.disarm();
    uint64_t time = now();
    if (registers_.alarm <= time) {
        registers_.alarm_running = false;
        registers_.interrupt_pending = true;
        timer_.disarm();
        return update_line();
    }
    uint64_t start = clock_.monotonic();
    uint64_t sleep = std::min({registers_.alarm - time, kLongestSleep, std::numeric_limits<uint64_t>::max() - start});
    timer_.arm(start + sleep);
}

void GoldfishRtc::save(StateWriter& writer) const {
    std::lock_guard guard(lock());
    Registers saved = registers_;
    saved.fields(writer);
}

Result<> GoldfishRtc::restore(StateReader& reader) {
    Registers restored;
    restored.fields(reader);
    DOPPEL_CHECK(reader.finish("restore goldfish-rtc"));
    std::lock_guard guard(lock());
    registers_ = restored;
    update_alarm();
    update_line();
    return {};
}

}  // namespace doppel::device
