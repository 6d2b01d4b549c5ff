#include "device/plic.h"

#include <algorithm>
#include <bit>

#include "device/restored.h"

namespace doppel::device {

namespace {

// "Memory Map".
constexpr uint64_t kPriority = 0;
constexpr uint64_t kPending = 0x1000;
constexpr uint64_t kPendingEnd = 0x1080;
constexpr uint64_t kEnabled = 0x2000;
constexpr uint64_t kEnabledStride = 0x80;
constexpr uint64_t kContext = 0x200000;
constexpr uint64_t kContextStride = 0x1000;
constexpr uint64_t kThreshold = 0;
constexpr uint64_t kClaim = 4;

std::vector<InterruptLine> at_most_max(std::vector<InterruptLine> contexts) {
    if (contexts.size() > Plic::kMaxContexts) contexts.resize(Plic::kMaxContexts);
    return contexts;
}

bool has_bit(const std::vector<uint32_t>& bits, uint32_t source) {
    return ((bits[source / 32] >> (source % 32)) & 1) != 0;
}

void set_bit(std::vector<uint32_t>& bits, uint32_t source, bool value) {
    uint32_t bit = uint32_t{1} << (source % 32);
    bits[source / 32] = value ? bits[source / 32] | bit : bits[source / 32] & ~bit;
}

}  // namespace

Plic::Plic(std::vector<InterruptLine> contexts, uint32_t sources)
    : sources_(std::clamp<uint32_t>(sources, 1, kMaxSources)),
      lines_(at_most_max(std::move(contexts))),
      registers_(initial_registers()),
      driven_(lines_.size(), 0) {}

Plic::Registers Plic::initial_registers() const {
    std::vector<uint32_t> none(words(), 0);
    return {std::vector<uint8_t>(sources_ + 1, 0), none, none, none, std::vector<uint32_t>(words() * lines_.size(), 0),
            std::vector<uint8_t>(lines_.size(), 0)};
}

uint32_t Plic::existing(uint64_t word) const {
    if (word >= words()) return 0;
    uint32_t bits = word == 0 ? ~uint32_t{1} : ~uint32_t{0};
    if (word == sources_ / 32) bits &= ~uint32_t{0} >> (31 - sources_ % 32);
    return bits;
}

uint64_t Plic::read(uint64_t offset, unsigned bytes) {
    if (bytes != 4 || offset % 4 != 0) return 0;
    if (offset < kPending) {
        uint64_t source = (offset - kPriority) / 4;
        return source <= sources_ ? registers_.priority[source] : 0;
    }
    if (offset < kPendingEnd) {
        uint64_t word = (offset - kPending) / 4;
        return word < words() ? registers_.pending[word] : 0;
    }
    if (offset >= kContext) {
        uint64_t context = (offset - kContext) / kContextStride;
        uint64_t what = (offset - kContext) % kContextStride;
        if (context >= lines_.size()) return 0;
        if (what == kThreshold) return registers_.threshold[context];
        return what == kClaim ? claim(static_cast<uint32_t>(context)) : 0;
    }
    if (offset < kEnabled) return 0;
    uint64_t context = (offset - kEnabled) / kEnabledStride;
    uint64_t word = (offset - kEnabled) % kEnabledStride / 4;
    return context < lines_.size() && word < words() ? registers_.enabled[context * words() + word] : 0;
}

void Plic::write(uint64_t offset, unsigned bytes, uint64_t value) {
    if (bytes != 4 || offset % 4 != 0) return;
    uint32_t word = static_cast<uint32_t>(value);
    if (offset >= kContext) return write_context(offset - kContext, word);
    if (offset >= kEnabled) return write_enabled(offset - kEnabled, word);
    uint64_t source = (offset - kPriority) / 4;
    if (offset >= kPending || source == 0 || source > sources_) return;  // pending bits are read-only
    registers_.priority[source] = word & kMaxPriority;
    update_all();
}

void Plic::write_enabled(uint64_t offset, uint32_t value) {
    uint64_t context = offset / kEnabledStride;
    uint64_t word = offset % kEnabledStride / 4;
    if (context >= lines_.size() || word >= words()) return;
    registers_.enabled[context * words() + word] = value & existing(word);
    update(static_cast<uint32_t>(context));
}

void Plic::write_context(uint64_t offset, uint32_t value) {
    uint64_t context = offset / kContextStride;
    if (context >= lines_.size()) return;
    switch (offset % kContextStride) {
        case kThreshold:
            registers_.threshold[context] = value & kMaxPriority;
            return update(static_cast<uint32_t>(context));
        case kClaim:
            return complete(static_cast<uint32_t>(context), value);
        default:
            return;
    }
}

void Plic::reset() {
    std::vector<uint32_t> level = std::move(registers_.level);
    registers_ = initial_registers();
    registers_.pending = level;
    registers_.level = std::move(level);
    drive_all();
}

// "Interrupt Gateways": one request at a time; a request that was forwarded stays, whatever the input does then.
void Plic::set_level(uint32_t source, bool level) {
    if (source == 0 || source > sources_) return;
    std::lock_guard guard(lock());
    if (has_bit(registers_.level, source) == level) return;
    set_bit(registers_.level, source, level);
    if (!level || has_bit(registers_.claimed, source) || has_bit(registers_.pending, source)) return;
    set_bit(registers_.pending, source, true);
    update_all();
}

// The enabled and pending source of the greatest priority above `above`, of equals the lowest number ("Interrupt
// Priorities"); 0 if there is none.
uint32_t Plic::best(uint32_t context, uint32_t above) const {
    uint32_t found = 0;
    const uint32_t* enabled = registers_.enabled.data() + size_t{context} * words();
    for (uint32_t word = 0; word < words(); word++) {
        for (uint32_t bits = registers_.pending[word] & enabled[word]; bits != 0; bits &= bits - 1) {
            uint32_t source = word * 32 + static_cast<uint32_t>(std::countr_zero(bits));
            if (registers_.priority[source] <= above) continue;
            above = registers_.priority[source];
            found = source;
        }
    }
    return found;
}

// "Interrupt Claim Process": the threshold does not matter to a claim; a priority of 0 does, for it means "never
// interrupt".
uint32_t Plic::claim(uint32_t context) {
    uint32_t source = best(context, 0);
    if (source == 0) return 0;
    set_bit(registers_.pending, source, false);
    set_bit(registers_.claimed, source, true);
    update_all();
    return source;
}

// "Interrupt Completion": a completion for a source that is not enabled for the context is ignored; who claimed it is
// not asked.
void Plic::complete(uint32_t context, uint32_t source) {
    if (source == 0 || source > sources_) return;
    uint32_t enabled = registers_.enabled[size_t{context} * words() + source / 32];
    if (((enabled >> (source % 32)) & 1) == 0 || !has_bit(registers_.claimed, source)) return;
    open_gateway(source);
}

void Plic::open_gateway(uint32_t source) {
    set_bit(registers_.claimed, source, false);
    if (!has_bit(registers_.level, source)) return;
    set_bit(registers_.pending, source, true);
    update_all();
}

void Plic::update(uint32_t context) {
    bool level = best(context, registers_.threshold[context]) != 0;
    if ((driven_[context] != 0) == level) return;
    driven_[context] = level;
    lines_[context].set(level);
}

void Plic::update_all() {
    for (uint32_t context = 0; context < lines_.size(); context++) update(context);
}

// Says every line's level, whatever its receiver was told before.
void Plic::drive_all() {
    for (uint32_t context = 0; context < lines_.size(); context++) {
        driven_[context] = best(context, registers_.threshold[context]) != 0;
        lines_[context].set(driven_[context] != 0);
    }
}

void Plic::save(StateWriter& writer) const {
    std::lock_guard guard(lock());
    Registers saved = registers_;
    saved.fields(writer);
}

Result<> Plic::restore(StateReader& reader) {
    Registers restored = initial_registers();
    restored.fields(reader);
    DOPPEL_CHECK(reader.finish("restore plic"));
    DOPPEL_CHECK(check(restored));
    std::lock_guard guard(lock());
    registers_ = std::move(restored);
    drive_all();
    return {};
}

Result<> Plic::check(const Registers& restored) const {
    DOPPEL_CHECK(check_restored(restored.priority.size() == sources_ + 1, name(), "its number of sources"));
    DOPPEL_CHECK(check_restored(restored.threshold.size() == lines_.size(), name(), "its number of contexts"));
    DOPPEL_CHECK(
        check_restored(restored.enabled.size() == words() * lines_.size(), name(), "its number of enable bits"));
    auto in_range = [](uint8_t priority) { return priority <= kMaxPriority; };
    DOPPEL_CHECK(check_restored(
        std::all_of(restored.priority.begin(), restored.priority.end(), in_range) && restored.priority[0] == 0, name(),
        "a priority"));
    DOPPEL_CHECK(check_restored(std::all_of(restored.threshold.begin(), restored.threshold.end(), in_range), name(),
                                "a threshold"));
    auto only_existing = [this](const std::vector<uint32_t>& bits) {
        for (size_t i = 0; i < bits.size(); i++) {
            if ((bits[i] & ~existing(i % words())) != 0) return false;
        }
        return true;
    };
    for (const auto* bits : {&restored.level, &restored.pending, &restored.claimed}) {
        DOPPEL_CHECK(check_restored(bits->size() == words() && only_existing(*bits), name(), "a source's state"));
    }
    return check_restored(only_existing(restored.enabled), name(), "an enable bit");
}

}  // namespace doppel::device
