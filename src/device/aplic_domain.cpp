#include "device/aplic_domain.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace doppel::device {

namespace {

// "Memory-mapped control region for an interrupt domain".
constexpr uint64_t kDomain = 0;
constexpr uint64_t kSourcesEnd = 0x1000;
constexpr uint64_t kSetPending = 0x1c00, kClearPending = 0x1d00, kSetEnabled = 0x1e00, kClearEnabled = 0x1f00;
constexpr uint64_t kBitsEnd = 0x2000, kBitsBytes = 0x80, kByNumber = 0xdc;
constexpr uint64_t kSetPendingLe = 0x2000;
constexpr uint64_t kMessage = 0x3000;
constexpr uint64_t kDelivery = 0x4000, kDeliveryStride = 0x20;
// "Interrupt delivery control (IDC) structure".
constexpr uint64_t kIdelivery = 0, kIforce = 4, kIthreshold = 8, kTopi = 0x18, kClaimi = 0x1c;

// domaincfg. Bytes are in little-endian order only.
constexpr uint32_t kFixed = 0x80000000, kEnable = 1 << 8, kMessages = 1 << 2;
// sourcecfg. A domain has one child at most, so the index is 0.
constexpr uint16_t kDelegate = 1 << 10;
constexpr unsigned kInactive = 0, kDetached = 1, kEdge1 = 4, kLevel0 = 7;
// target, genmsi. No hart has guests, so Guest Index is 0.
constexpr unsigned kHartShift = 18;
constexpr uint32_t kHartMask = ~uint32_t{0} << kHartShift, kPriorityMask = 0xff, kIdentityMask = 0x7ff;

bool has_bit(const AplicDomain::Bits& bits, uint32_t source) {
    return ((bits[source / 32] >> (source % 32)) & 1) != 0;
}

void set_bit(AplicDomain::Bits& bits, uint32_t source, bool value) {
    uint32_t bit = uint32_t{1} << (source % 32);
    bits[source / 32] = value ? bits[source / 32] | bit : bits[source / 32] & ~bit;
}

bool is_mode(unsigned mode) {
    return mode <= kDetached || (mode >= kEdge1 && mode <= kLevel0);
}

uint32_t legal_target(uint32_t value, bool messages) {
    if (messages) return value & (kHartMask | kIdentityMask);
    uint32_t priority = std::max<uint32_t>(value & kPriorityMask, 1);
    return (value & kHartMask) | priority;
}

}  // namespace

bool AplicDomain::Registers::sends_messages() const {
    return (domaincfg & kMessages) != 0;
}

bool AplicDomain::Registers::delegates(uint32_t source) const {
    return (sourcecfg[source] & kDelegate) != 0;
}

unsigned AplicDomain::Registers::mode(uint32_t source) const {
    return delegates(source) ? kInactive : sourcecfg[source];
}

bool AplicDomain::Registers::input(uint32_t source, const Bits& wires) const {
    unsigned how = mode(source);
    if (how < kEdge1) return false;
    bool inverted = (how & 1) != 0;
    return has_bit(wires, source) != inverted;
}

AplicDomain::AplicDomain(Parts parts)
    : sources_(parts.sources),
      lines_(std::move(parts.harts)),
      wires_(parts.wires),
      forward_(std::move(parts.forward)),
      child_(parts.child),
      registers_(initial_registers()),
      driven_(lines_.size(), 0) {
    if (child_ != nullptr) child_->parent_ = this;
}

AplicDomain::Registers AplicDomain::initial_registers() const {
    Registers initial;
    initial.sourcecfg.assign(sources_ + 1, 0);
    initial.target.assign(sources_ + 1, 0);
    initial.pending.assign(words(), 0);
    initial.enabled.assign(words(), 0);
    initial.idelivery.assign(lines_.size(), 0);
    initial.iforce = initial.ithreshold = initial.idelivery;
    return initial;
}

bool AplicDomain::implemented(uint32_t source) const {
    return parent_ == nullptr || parent_->registers_.delegates(source);
}

uint32_t AplicDomain::inputs(uint64_t word) const {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t source = static_cast<uint32_t>(word) * 32 + i;
        if (source <= sources_ && input(source)) bits |= uint32_t{1} << i;
    }
    return bits;
}

// ---- Registers

uint32_t AplicDomain::read(uint64_t offset) {
    if (offset == kDomain) return kFixed | registers_.domaincfg;
    if (offset < kSourcesEnd) return offset / 4 <= sources_ ? registers_.sourcecfg[offset / 4] : 0;
    if (offset >= kDelivery) return read_delivery(offset - kDelivery);
    if (offset == kMessage) return registers_.sends_messages() ? registers_.genmsi : 0;
    if (offset > kMessage) {
        uint64_t source = (offset - kMessage) / 4;
        return source <= sources_ ? registers_.target[source] : 0;
    }
    uint64_t word = offset % (kClearPending - kSetPending) / 4;
    if (offset < kSetPending || offset >= kBitsEnd || word >= words()) return 0;
    switch (offset - offset % (kClearPending - kSetPending)) {
        case kSetPending:
            return registers_.pending[word];
        case kClearPending:
            return inputs(word);
        case kSetEnabled:
            return registers_.enabled[word];
        default:
            return 0;
    }
}

void AplicDomain::write(uint64_t offset, uint32_t value) {
    if (offset == kDomain) return write_domain(value);
    if (offset < kSourcesEnd) return write_source(static_cast<uint32_t>(offset / 4), value);
    if (offset >= kDelivery) return write_delivery(offset - kDelivery, value);
    if (offset == kMessage) return write_message(value);
    if (offset > kMessage) return write_target(static_cast<uint32_t>((offset - kMessage) / 4), value);
    if (offset == kSetPendingLe) return set_pending(value);
    if (offset >= kSetPending && offset < kBitsEnd) write_bits(offset, value);
}

void AplicDomain::write_bits(uint64_t offset, uint32_t value) {
    uint64_t within = offset % (kClearPending - kSetPending);
    if (within == kByNumber) return write_number(offset - within, value);
    if (within >= kBitsBytes) return;
    for (uint32_t bits = value; bits != 0; bits &= bits - 1) {
        write_number(offset - within,
                     static_cast<uint32_t>(within) * 8 + static_cast<uint32_t>(std::countr_zero(bits)));
    }
}

void AplicDomain::write_number(uint64_t group, uint32_t source) {
    switch (group) {
        case kSetPending:
            return set_pending(source);
        case kClearPending:
            return clear_pending(source);
        case kSetEnabled:
        case kClearEnabled:
            if (!active(source)) return;
            set_bit(registers_.enabled, source, group == kSetEnabled);
            return settle(source);
    }
}

void AplicDomain::write_domain(uint32_t value) {
    bool messages = registers_.sends_messages();
    registers_.domaincfg = value & (kEnable | kMessages);
    if (messages != registers_.sends_messages()) {
        for (uint32_t source = 1; source <= sources_; source++) {
            if (!active(source)) continue;
            registers_.target[source] = legal_target(registers_.target[source], !messages);
            if (messages && registers_.level_sensitive(source)) set_bit(registers_.pending, source, input(source));
        }
    }
    settle_all();
}

// "Source configurations". A source that is already high when it becomes level-sensitive is pending; an edge must come.
void AplicDomain::write_source(uint32_t source, uint32_t value) {
    if (!exists(source)) return;
    bool was_active = active(source), was_high = input(source), was_delegated = registers_.delegates(source);
    auto config = static_cast<uint16_t>(value & 7);
    if (!is_mode(config)) config = kInactive;
    if ((value & kDelegate) != 0) config = child_ != nullptr ? kDelegate : uint16_t{0};
    registers_.sourcecfg[source] = config;
    if (was_delegated && !registers_.delegates(source)) child_->forget(source);
    if (!active(source)) return forget(source);
    if (!was_active) registers_.target[source] = legal_target(0, registers_.sends_messages());
    if (registers_.level_sensitive(source)) {
        bool high = input(source);
        if (!high || !was_high || !registers_.sends_messages()) set_bit(registers_.pending, source, high);
    }
    settle(source);
}

// Inactive here, unless it is delegated on.
void AplicDomain::forget(uint32_t source) {
    if (!registers_.delegates(source)) registers_.sourcecfg[source] = kInactive;
    registers_.target[source] = 0;
    set_bit(registers_.pending, source, false);
    set_bit(registers_.enabled, source, false);
    settle(source);
}

void AplicDomain::write_target(uint32_t source, uint32_t value) {
    if (!active(source)) return;
    registers_.target[source] = legal_target(value, registers_.sends_messages());
    settle(source);
}

// "Generate MSI": sent at once, so Busy is never seen.
void AplicDomain::write_message(uint32_t value) {
    if (!registers_.sends_messages()) return;
    registers_.genmsi = legal_target(value, true);
    forward_(registers_.genmsi >> kHartShift, registers_.genmsi & kIdentityMask);
}

// ---- "Precise effects on interrupt-pending bits"

void AplicDomain::wire_changed(uint32_t source) {
    if (registers_.mode(source) < kEdge1) return;
    bool high = input(source);
    if (!high && !registers_.level_sensitive(source)) return;
    set_bit(registers_.pending, source, high);
    settle(source);
}

void AplicDomain::set_pending(uint32_t source) {
    if (!active(source)) return;
    if (registers_.level_sensitive(source) && (!registers_.sends_messages() || !input(source))) return;
    set_bit(registers_.pending, source, true);
    settle(source);
}

void AplicDomain::clear_pending(uint32_t source) {
    if (!active(source)) return;
    if (registers_.level_sensitive(source) && !registers_.sends_messages()) return;
    set_bit(registers_.pending, source, false);
    settle(source);
}

// ---- Delivery

void AplicDomain::settle(uint32_t source) {
    if (!registers_.sends_messages()) {
        for (size_t hart = 0; hart < lines_.size(); hart++) drive(hart, false);
        return;
    }
    // "Interrupt forwarding by MSIs".
    if ((registers_.domaincfg & kEnable) == 0) return;
    if (!has_bit(registers_.pending, source) || !has_bit(registers_.enabled, source)) return;
    set_bit(registers_.pending, source, false);
    forward_(registers_.target[source] >> kHartShift, registers_.target[source] & kIdentityMask);
}

void AplicDomain::settle_all() {
    for (size_t hart = 0; hart < lines_.size(); hart++) drive(hart, false);
    for (uint32_t source = 1; registers_.sends_messages() && source <= sources_; source++) settle(source);
}

// topi: the least priority number, of equals the least source, below the threshold.
uint32_t AplicDomain::top(size_t hart) const {
    if (registers_.sends_messages()) return 0;
    uint32_t limit = registers_.ithreshold[hart] != 0 ? registers_.ithreshold[hart] : kPriorityMask + 1;
    uint32_t found = 0;
    for (uint32_t word = 0; word < words(); word++) {
        for (uint32_t bits = registers_.pending[word] & registers_.enabled[word]; bits != 0; bits &= bits - 1) {
            uint32_t source = word * 32 + static_cast<uint32_t>(std::countr_zero(bits));
            uint32_t target = registers_.target[source];
            if (target >> kHartShift != hart || (target & kPriorityMask) >= limit) continue;
            limit = target & kPriorityMask;
            found = source << 16 | limit;
        }
    }
    return found;
}

uint32_t AplicDomain::claim(size_t hart) {
    uint32_t value = top(hart);
    if (value == 0) {
        registers_.iforce[hart] = 0;
        drive(hart, false);
    } else {
        clear_pending(value >> 16);
    }
    return value;
}

uint32_t AplicDomain::read_delivery(uint64_t offset) {
    uint64_t hart = offset / kDeliveryStride;
    if (hart >= lines_.size()) return 0;
    switch (offset % kDeliveryStride) {
        case kIdelivery:
            return registers_.idelivery[hart];
        case kIforce:
            return registers_.iforce[hart];
        case kIthreshold:
            return registers_.ithreshold[hart];
        case kTopi:
            return top(hart);
        case kClaimi:
            return claim(hart);
        default:
            return 0;
    }
}

void AplicDomain::write_delivery(uint64_t offset, uint32_t value) {
    uint64_t hart = offset / kDeliveryStride;
    if (hart >= lines_.size()) return;
    switch (offset % kDeliveryStride) {
        case kIdelivery:
            registers_.idelivery[hart] = value & 1;
            break;
        case kIforce:
            registers_.iforce[hart] = value & 1;
            break;
        case kIthreshold:
            registers_.ithreshold[hart] = value & kPriorityMask;
            break;
        default:
            return;
    }
    drive(hart, false);
}

// "Interrupt delivery and handling". `always`: says the level, whatever the receiver was told before.
void AplicDomain::drive(size_t hart, bool always) {
    bool direct = (registers_.domaincfg & (kEnable | kMessages)) == kEnable;
    bool level = direct && registers_.idelivery[hart] != 0 && (registers_.iforce[hart] != 0 || top(hart) != 0);
    if (!always && (driven_[hart] != 0) == level) return;
    driven_[hart] = level;
    lines_[hart].set(level);
}

// ---- Reset and saved state

void AplicDomain::reset() {
    adopt(initial_registers());
    for (uint32_t source = 1; child_ != nullptr && source <= sources_; source++) child_->forget(source);
}

void AplicDomain::adopt(Registers registers) {
    registers_ = std::move(registers);
    for (size_t hart = 0; hart < lines_.size(); hart++) drive(hart, true);
}

bool AplicDomain::possible(const Registers& r, const Bits& wires, const Registers* parent) const {
    Registers like = initial_registers();
    bool sizes = r.sourcecfg.size() == like.sourcecfg.size() && r.target.size() == like.target.size() &&
                 r.pending.size() == words() && r.enabled.size() == words() && r.idelivery.size() == lines_.size() &&
                 r.iforce.size() == lines_.size() && r.ithreshold.size() == lines_.size();
    if (!sizes || (r.domaincfg & ~(kEnable | kMessages)) != 0 || r.genmsi != legal_target(r.genmsi, true)) return false;
    auto one_bit = [](uint8_t value) { return value <= 1; };
    if (!std::all_of(r.idelivery.begin(), r.idelivery.end(), one_bit)) return false;
    if (!std::all_of(r.iforce.begin(), r.iforce.end(), one_bit)) return false;
    for (uint32_t source = 0; source < words() * 32; source++) {
        bool possible = source <= sources_ ? possible_source(r, source, wires, parent)
                                           : !has_bit(r.pending, source) && !has_bit(r.enabled, source);
        if (!possible) return false;
    }
    return true;
}

bool AplicDomain::possible_source(const Registers& r, uint32_t source, const Bits& wires,
                                  const Registers* parent) const {
    uint16_t config = r.sourcecfg[source];
    bool there = source != 0 && (parent == nullptr || parent->delegates(source));
    if (config != kInactive && !there) return false;
    if (config == kDelegate ? child_ == nullptr : !is_mode(config)) return false;
    bool pending = has_bit(r.pending, source);
    if (r.mode(source) == kInactive) return !pending && !has_bit(r.enabled, source) && r.target[source] == 0;
    if (r.target[source] != legal_target(r.target[source], r.sends_messages())) return false;
    if (!r.level_sensitive(source)) return true;
    bool high = r.input(source, wires);
    return r.sends_messages() ? high || !pending : high == pending;
}

}  // namespace doppel::device
