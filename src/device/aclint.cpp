#include "device/aclint.h"

#include <algorithm>
#include <limits>

#include "device/restored.h"

namespace doppel::device {

namespace {

constexpr uint64_t kMsip = 0;
constexpr uint64_t kMtimecmp = 0x4000;
constexpr uint64_t kMtime = 0xbff8;

std::vector<Clint::HartLines> at_most_max(std::vector<Clint::HartLines> harts) {
    if (harts.size() > Clint::kMaxHarts) harts.resize(Clint::kMaxHarts);
    return harts;
}

uint64_t with_half(uint64_t whole, bool high, uint32_t half) {
    return high ? (whole & 0xffffffff) | (uint64_t{half} << 32) : (whole & 0xffffffff00000000) | half;
}

uint32_t half_of(uint64_t whole, bool high) {
    return static_cast<uint32_t>(high ? whole >> 32 : whole);
}

}  // namespace

Clint::Clint(Timebase& timebase, EventLoop& loop, std::vector<HartLines> harts)
    : timebase_(timebase), lines_(at_most_max(std::move(harts))), registers_(initial_registers()) {
    for (size_t hart = 0; hart < lines_.size(); hart++) {
        timers_.emplace_back(loop, [this, hart] {
            std::lock_guard guard(lock());
            update_timer(hart);
        });
    }
}

// The specification leaves mtimecmp open at reset; with the greatest value no interrupt greets a guest that never asked
// for one.
Clint::Registers Clint::initial_registers() const {
    return {std::vector<uint8_t>(lines_.size(), 0),
            std::vector<uint64_t>(lines_.size(), std::numeric_limits<uint64_t>::max())};
}

uint64_t Clint::read(uint64_t offset, unsigned bytes) {
    if (offset % 4 != 0) return 0;
    if (bytes == 4) return read_word(offset);
    if (bytes != 8) return 0;
    if (offset == kMtime) return timebase_.now();  // whole: the halves must not be read at two times
    return read_word(offset) | uint64_t{read_word(offset + 4)} << 32;
}

void Clint::write(uint64_t offset, unsigned bytes, uint64_t value) {
    if (offset % 4 != 0) return;
    if (bytes == 4) return write_word(offset, static_cast<uint32_t>(value));
    if (bytes != 8) return;
    if (offset >= kMtimecmp && offset % 8 == 0) return write_time_register(offset, value);
    write_word(offset, static_cast<uint32_t>(value));
    write_word(offset + 4, static_cast<uint32_t>(value >> 32));
}

uint32_t Clint::read_word(uint64_t offset) const {
    bool high = offset % 8 != 0;
    if (offset < kMtimecmp) {
        uint64_t hart = (offset - kMsip) / 4;
        return hart < lines_.size() ? registers_.msip[hart] : 0;
    }
    if (offset < kMtime) {
        uint64_t hart = (offset - kMtimecmp) / 8;
        return hart < lines_.size() ? half_of(registers_.mtimecmp[hart], high) : 0;
    }
    return offset < kMtime + 8 ? half_of(timebase_.now(), high) : 0;
}

void Clint::write_word(uint64_t offset, uint32_t value) {
    if (offset < kMtimecmp) {
        uint64_t hart = (offset - kMsip) / 4;
        if (hart >= lines_.size()) return;
        registers_.msip[hart] = value & 1;
        return lines_[hart].software.set(registers_.msip[hart] != 0);
    }
    uint64_t whole = offset & ~uint64_t{7};
    uint64_t hart = (whole - kMtimecmp) / 8;
    uint64_t old = whole == kMtime ? timebase_.now() : hart < lines_.size() ? registers_.mtimecmp[hart] : 0;
    write_time_register(whole, with_half(old, offset != whole, value));
}

void Clint::write_time_register(uint64_t offset, uint64_t value) {
    if (offset == kMtime) {
        timebase_.set(value);
        return update_all();
    }
    uint64_t hart = (offset - kMtimecmp) / 8;
    if (offset > kMtime || hart >= lines_.size()) return;
    registers_.mtimecmp[hart] = value;
    update_timer(hart);
}

void Clint::reset() {
    registers_ = initial_registers();
    timebase_.set(0);
    update_all();
}

// MTIP is mtime >= mtimecmp, unsigned (ACLINT, "MTIMER"): it rises when the time reaches mtimecmp, and falls should the
// time wrap. Also the timers' callback, whose deadline may have moved since.
void Clint::update_timer(size_t hart) {
    uint64_t now = timebase_.now();
    uint64_t compare = registers_.mtimecmp[hart];
    bool expired = now >= compare;
    lines_[hart].timer.set(expired);
    bool for_ever = expired && compare == 0;
    auto change = for_ever ? std::nullopt : timebase_.nanoseconds_at(expired ? 0 : compare, now);
    if (change) {
        timers_[hart].arm(*change);
    } else {
        timers_[hart].disarm();
    }
}

void Clint::update_all() {
    for (size_t hart = 0; hart < lines_.size(); hart++) {
        lines_[hart].software.set(registers_.msip[hart] != 0);
        update_timer(hart);
    }
}

void Clint::save(StateWriter& writer) const {
    std::lock_guard guard(lock());
    Registers saved = registers_;
    saved.fields(writer);
}

Result<> Clint::restore(StateReader& reader) {
    Registers restored = initial_registers();
    restored.fields(reader);
    DOPPEL_CHECK(reader.finish("restore clint"));
    size_t harts = lines_.size();
    DOPPEL_CHECK(check_restored(restored.msip.size() == harts && restored.mtimecmp.size() == harts, name(),
                                "its number of harts"));
    DOPPEL_CHECK(
        check_restored(std::all_of(restored.msip.begin(), restored.msip.end(), [](auto bit) { return bit <= 1; }),
                       name(), "a software interrupt"));
    std::lock_guard guard(lock());
    registers_ = std::move(restored);
    update_all();
    return {};
}

void Sswi::write(uint64_t offset, unsigned bytes, uint64_t value) {
    if (bytes != 4 || offset % 4 != 0 || offset / 4 >= lines_.size() || (value & 1) == 0) return;
    const InterruptLine& line = lines_[offset / 4];
    line.set(true);
    line.set(false);
}

}  // namespace doppel::device
