#include "device/aplic.h"

#include <algorithm>

#include "device/restored.h"

namespace doppel::device {

namespace {

// "Machine MSI address configuration", "Supervisor MSI address configuration": the fields that exist.
constexpr std::array<uint32_t, 4> kAddressMask = {0xffffffff, 0x9f77ffff, 0xffffffff, 0x00700fff};
constexpr size_t kMachineHigh = 1;
constexpr uint64_t kAddressesEnd = Aplic::kSupervisorAddressHigh + 4;

bool is_address(uint64_t offset) {
    return offset >= Aplic::kMachineAddress && offset < kAddressesEnd;
}

uint32_t bits(uint32_t value, unsigned high, unsigned low) {
    return value >> low & ((uint32_t{1} << (high - low + 1)) - 1);
}

}  // namespace

Aplic::Aplic(const std::vector<HartLines>& harts, MsiSink& messages, uint32_t sources)
    : sources_(std::clamp<uint32_t>(sources, 1, kMaxSources)),
      messages_(messages),
      wires_(sources_ / 32 + 1, 0),
      child_(parts(harts, false)),
      root_(parts(harts, true)),
      machine_(*this, root_, true),
      supervisor_(*this, child_, false) {}

AplicDomain::Parts Aplic::parts(const std::vector<HartLines>& harts, bool root) {
    std::vector<InterruptLine> lines;
    for (const HartLines& hart : harts) {
        if (lines.size() < kMaxHarts) lines.push_back(root ? hart.machine : hart.supervisor);
    }
    auto send = [this, root](uint32_t hart, uint32_t identity) { forward(root, hart, identity); };
    return {sources_, std::move(lines), wires_, send, root ? &child_ : nullptr};
}

void Aplic::set_level(uint32_t source, bool level) {
    if (source == 0 || source > sources_) return;
    std::lock_guard guard(lock_);
    uint32_t bit = uint32_t{1} << (source % 32);
    uint32_t& word = wires_[source / 32];
    if (((word & bit) != 0) == level) return;
    word ^= bit;
    root_.wire_changed(source);
    child_.wire_changed(source);
}

// "Addresses and data for outgoing MSIs". Both domains number harts alike.
void Aplic::forward(bool root, uint32_t hart, uint32_t identity) {
    uint32_t shape = addresses_[kMachineHigh];
    uint32_t low = root ? addresses_[0] : addresses_[2], high = root ? shape : addresses_[3];
    unsigned group_width = bits(shape, 18, 16), hart_width = bits(shape, 15, 12), group_shift = bits(shape, 28, 24);
    uint64_t group = hart >> hart_width & ((1u << group_width) - 1);
    uint64_t within = hart & ((1u << hart_width) - 1);
    uint64_t base = uint64_t{bits(high, 11, 0)} << 32 | low;
    uint64_t page = base | group << (group_shift + 12) | within << bits(high, 22, 20);
    messages_.send(page << 12, identity);
}

void Aplic::write_address(size_t index, uint32_t value) {
    if ((addresses_[kMachineHigh] & kAddressLock) != 0) return;
    addresses_[index] = value & kAddressMask[index];
}

uint64_t Aplic::Region::read(uint64_t offset, unsigned bytes) {
    if (bytes != 4 || offset % 4 != 0) return 0;
    std::lock_guard guard(aplic_.lock_);
    if (is_address(offset)) return root_ ? aplic_.addresses_[(offset - kMachineAddress) / 4] : 0;
    return domain_.read(offset);
}

void Aplic::Region::write(uint64_t offset, unsigned bytes, uint64_t value) {
    if (bytes != 4 || offset % 4 != 0) return;
    auto word = static_cast<uint32_t>(value);
    std::lock_guard guard(aplic_.lock_);
    if (!is_address(offset)) return domain_.write(offset, word);
    if (root_) aplic_.write_address((offset - kMachineAddress) / 4, word);
}

void Aplic::Region::reset() {
    std::lock_guard guard(aplic_.lock_);
    if (root_) aplic_.addresses_ = {};
    domain_.reset();
}

void Aplic::save(StateWriter& writer) const {
    std::lock_guard guard(lock_);
    writer.field(1, wires_);
    writer.field(2, addresses_);
    AplicDomain::Registers root = root_.registers(), child = child_.registers();
    writer.section(3, root);
    writer.section(4, child);
}

Result<> Aplic::restore(StateReader& reader) {
    std::lock_guard guard(lock_);
    AplicDomain::Bits wires(wires_.size(), 0);
    Addresses addresses{};
    AplicDomain::Registers root = root_.initial_registers(), child = child_.initial_registers();
    reader.field(1, wires);
    reader.field(2, addresses);
    reader.section(3, root);
    reader.section(4, child);
    DOPPEL_CHECK(reader.finish("restore aplic"));
    bool known = wires.size() == wires_.size() && (wires[0] & 1) == 0;
    uint32_t beyond = sources_ % 32 == 31 ? 0 : ~uint32_t{0} << (sources_ % 32 + 1);
    DOPPEL_CHECK(check_restored(known && (wires.back() & beyond) == 0, "aplic", "its number of sources"));
    for (size_t i = 0; i < addresses.size(); i++) {
        DOPPEL_CHECK(check_restored((addresses[i] & ~kAddressMask[i]) == 0, "aplic", "an address"));
    }
    DOPPEL_CHECK(check_restored(root_.possible(root, wires, nullptr), "aplic", "the machine-level domain's state"));
    DOPPEL_CHECK(check_restored(child_.possible(child, wires, &root), "aplic", "the supervisor-level domain's state"));
    wires_ = std::move(wires);
    addresses_ = addresses;
    root_.adopt(std::move(root));
    child_.adopt(std::move(child));
    return {};
}

}  // namespace doppel::device
