#include "device/timebase.h"

#include <limits>

namespace doppel::device {

namespace {

struct Registers {
    uint64_t ticks = 0;

    template <class V>
    void fields(V& v) {
        v.field(1, ticks);
    }
};

}  // namespace

void Timebase::set(uint64_t ticks) {
    set_quietly(ticks);
    for (const auto& jumped : listeners_) jumped();
}

std::optional<uint64_t> Timebase::nanoseconds_at(uint64_t to, uint64_t from) const {
    constexpr uint64_t kLastTick = std::numeric_limits<uint64_t>::max() / kNanosecondsPerTick;
    uint64_t host = from - offset_.load(std::memory_order_acquire);
    uint64_t distance = to - from;
    if (host > kLastTick || distance > kLastTick - host) return std::nullopt;
    return (host + distance) * kNanosecondsPerTick;
}

void Timebase::save(StateWriter& writer) const {
    Registers registers{now()};
    registers.fields(writer);
}

Result<> Timebase::restore(StateReader& reader) {
    Registers registers;
    registers.fields(reader);
    DOPPEL_CHECK(reader.finish("restore timebase"));
    set(registers.ticks);
    return {};
}

}  // namespace doppel::device
