#include "device/imsic.h"

#include <algorithm>
#include <bit>

#include "base/byte_order.h"
#include "device/restored.h"

namespace doppel::device {

namespace {

// "Memory region for an interrupt file".
constexpr uint64_t kSetPendingLe = 0;
constexpr uint64_t kSetPendingBe = 4;

uint32_t whole_words(uint32_t identities) {
    return std::clamp<uint32_t>(identities, 63, Imsic::kMaxIdentities) | 63;
}

}  // namespace

// "Interrupt file": the state of one, as it is kept and saved. Bit n % 64 of word n / 64 belongs to identity n;
// identity 0 does not exist.
struct Imsic::Registers {
    uint32_t delivery = kDirect;
    uint32_t threshold = 0;
    std::vector<uint64_t> pending;
    std::vector<uint64_t> enabled;

    template <class V>
    void fields(V& v) {
        v.field(1, delivery);
        v.field(2, threshold);
        v.field(3, pending);
        v.field(4, enabled);
    }
};

class Imsic::File final : public isa::riscv::InterruptFile, public InterruptSink {
  public:
    File(InterruptLine line, Registers registers) : line_(line), registers_(std::move(registers)) {}

    uint64_t read(uint32_t select) const override {
        std::lock_guard guard(lock_);
        if (select >= kPending) return word(select);
        return select == kDelivery ? registers_.delivery : select == kThreshold ? registers_.threshold : 0;
    }

    void write(uint32_t select, uint64_t value, uint64_t mask) override {
        std::lock_guard guard(lock_);
        if (select >= kPending) {
            set_word(select, value, mask);
        } else if (select == kDelivery) {
            uint64_t wanted = (registers_.delivery & ~mask) | (value & mask);
            if (wanted == kOff || wanted == kOn || wanted == kDirect)
                registers_.delivery = static_cast<uint32_t>(wanted);
        } else if (select == kThreshold) {
            uint64_t wanted = (registers_.threshold & ~mask) | (value & mask);
            if (wanted <= last_identity()) registers_.threshold = static_cast<uint32_t>(wanted);
        }
        update();
    }

    uint32_t top() const override {
        std::lock_guard guard(lock_);
        uint32_t identity = best();
        return identity << 16 | identity;
    }

    void claim(uint32_t identity) override {
        std::lock_guard guard(lock_);
        if (identity > last_identity()) return;
        registers_.pending[identity / 64] &= ~bit(identity);
        update();
    }

    void receive(uint32_t identity) {
        if (identity == 0) return;
        std::lock_guard guard(lock_);
        if (identity > last_identity()) return;
        registers_.pending[identity / 64] |= bit(identity);
        update();
    }

    // The APLIC's signal.
    void set_level(uint32_t, bool level) override {
        std::lock_guard guard(lock_);
        direct_ = level;
        update();
    }

    Registers registers() const {
        std::lock_guard guard(lock_);
        return registers_;
    }

    // Says the line's level, whatever its receiver was told before.
    void adopt(Registers registers) {
        std::lock_guard guard(lock_);
        registers_ = std::move(registers);
        driven_ = signal();
        line_.set(driven_);
    }

  private:
    static uint64_t bit(uint32_t identity) { return uint64_t{1} << (identity % 64); }
    uint32_t last_identity() const { return static_cast<uint32_t>(registers_.pending.size() * 64 - 1); }

    // RV64 numbers its registers in halves: select - kPending is in 32-bit words.
    uint64_t word(uint32_t select) const {
        const auto& bits = select < kEnabled ? registers_.pending : registers_.enabled;
        size_t index = select % (kEnabled - kPending) / 2;
        return index < bits.size() ? bits[index] : 0;
    }
    void set_word(uint32_t select, uint64_t value, uint64_t mask) {
        auto& bits = select < kEnabled ? registers_.pending : registers_.enabled;
        size_t index = select % (kEnabled - kPending) / 2;
        if (index == 0) mask &= ~uint64_t{1};
        if (index < bits.size()) bits[index] = (bits[index] & ~mask) | (value & mask);
    }

    // "Top external interrupt CSRs": the lowest identity that is pending, enabled and below the threshold.
    uint32_t best() const {
        for (size_t i = 0; i < registers_.pending.size(); i++) {
            uint64_t ready = registers_.pending[i] & registers_.enabled[i];
            if (ready == 0) continue;
            auto identity = static_cast<uint32_t>(i * 64 + static_cast<unsigned>(std::countr_zero(ready)));
            return registers_.threshold != 0 && identity >= registers_.threshold ? 0 : identity;
        }
        return 0;
    }

    // "Interrupt delivery and handling".
    bool signal() const {
        if (registers_.delivery == kDirect) return direct_;
        return registers_.delivery == kOn && best() != 0;
    }

    void update() {
        bool level = signal();
        if (driven_ == level) return;
        driven_ = level;
        line_.set(level);
    }

    const InterruptLine line_;
    mutable std::mutex lock_;
    Registers registers_;
    bool direct_ = false;
    bool driven_ = false;  // the level last given to the line
};

Imsic::Imsic(std::string name, std::vector<InterruptLine> harts, uint32_t identities)
    : name_(std::move(name)), identities_(whole_words(identities)) {
    for (const InterruptLine& line : harts) files_.push_back(std::make_unique<File>(line, initial_registers()));
}

Imsic::~Imsic() = default;

Imsic::Registers Imsic::initial_registers() const {
    std::vector<uint64_t> none(words(), 0);
    return {.pending = none, .enabled = none};
}

isa::riscv::InterruptFile& Imsic::file(size_t hart) {
    return *files_[hart];
}

InterruptLine Imsic::direct_input(size_t hart) {
    return {*files_[hart], 0};
}

void Imsic::receive(uint64_t offset, uint32_t data) {
    if (offset >= size()) return;
    File& file = *files_[offset / kPageSize];
    switch (offset % kPageSize) {
        case kSetPendingLe:
            return file.receive(data);
        case kSetPendingBe:
            return file.receive(byte_swap(data));
        default:
            return;
    }
}

void Imsic::write(uint64_t offset, unsigned bytes, uint64_t value) {
    if (bytes == 4) receive(offset, static_cast<uint32_t>(value));
}

void Imsic::reset() {
    for (auto& file : files_) file->adopt(initial_registers());
}

void Imsic::save(StateWriter& writer) const {
    for (size_t i = 0; i < files_.size(); i++) {
        Registers saved = files_[i]->registers();
        writer.section(static_cast<uint16_t>(i + 1), saved);
    }
}

Result<> Imsic::restore(StateReader& reader) {
    std::vector<Registers> restored(files_.size(), initial_registers());
    for (size_t i = 0; i < files_.size(); i++) reader.section(static_cast<uint16_t>(i + 1), restored[i]);
    DOPPEL_CHECK(reader.finish("restore imsic"));
    DOPPEL_CHECK(check_restored(!reader.has(static_cast<uint16_t>(files_.size() + 1)), name(), "its number of harts"));
    for (const Registers& one : restored) DOPPEL_CHECK(check(one));
    for (size_t i = 0; i < files_.size(); i++) files_[i]->adopt(std::move(restored[i]));
    return {};
}

Result<> Imsic::check(const Registers& restored) const {
    bool known = restored.delivery == kOff || restored.delivery == kOn || restored.delivery == kDirect;
    DOPPEL_CHECK(check_restored(known, name(), "a delivery mode"));
    DOPPEL_CHECK(check_restored(restored.threshold <= identities_, name(), "a threshold"));
    for (const auto* bits : {&restored.pending, &restored.enabled}) {
        DOPPEL_CHECK(check_restored(bits->size() == words(), name(), "its number of identities"));
        DOPPEL_CHECK(check_restored(((*bits)[0] & 1) == 0, name(), "identity 0"));
    }
    return {};
}

}  // namespace doppel::device
