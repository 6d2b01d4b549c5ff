#include "device/pci/host.h"

#include <linux/pci_regs.h>

#include <algorithm>
#include <string>
#include <utility>

namespace doppel::device::pci {

namespace {

// The generic PCI Express host bridge that stock guests have in their tables.
constexpr Identity kBridgeIdentity = {.vendor = 0x1b36, .device = 0x0008, .class_code = 0x060000};

class Bridge final : public Function {
  public:
    Bridge() : Function(kBridgeIdentity) {}
    std::string_view name() const override { return "PCI host bridge"; }

  private:
    uint64_t read_device(unsigned, uint64_t, unsigned bytes) override { return all_ones(bytes); }
    void write_device(unsigned, uint64_t, unsigned, uint64_t) override {}
    void reset_device() override {}
    void save_device(StateWriter&) const override {}
    Result<> restore_device(StateReader&) override { return {}; }
};

constexpr unsigned config_offset(uint64_t ecam_offset) {
    return static_cast<unsigned>(ecam_offset % ConfigSpace::kSize);
}

}  // namespace

Host::Host(const Layout& layout, const std::array<InterruptLine, kInterruptLines>& lines, MsiSink* messages)
    : layout_(layout),
      lines_(lines),
      messages_(messages),
      ecam_(*this),
      window32_(*this, layout.window32_base),
      window64_(*this, layout.window64_base) {
    functions_[0] = std::make_unique<Bridge>();
    functions_[0]->attach(*this, 0);
}

Host::~Host() = default;

Result<> Host::add(unsigned slot, std::unique_ptr<Function> function) {
    std::string subject = "slot " + std::to_string(slot);
    if (slot == 0 || slot >= kSlots)
        return fail(Error{"add PCI device", subject, "there is no such slot", "use 1 to 31"});
    if (functions_[slot]) return fail(Error{"add PCI device", subject, "it is taken", "use another slot"});
    function->attach(*this, slot);
    functions_[slot] = std::move(function);
    return {};
}

std::unique_ptr<Function> Host::remove(unsigned slot) {
    if (slot == 0 || slot >= kSlots || !functions_[slot]) return nullptr;
    set_decodes(slot, {});
    for (unsigned pin = 1; pin <= kInterruptLines; pin++) set_intx(slot, pin, false);
    return std::move(functions_[slot]);
}

Function* Host::at(uint64_t ecam_offset) const {
    uint64_t requester = ecam_offset / ConfigSpace::kSize;  // bus, device, function: 8, 5 and 3 bits
    if (requester >> 8 != 0 || (requester & 7) != 0) return nullptr;
    return functions_[requester >> 3].get();
}

// An 8-byte access is two configuration requests: PCI Express has none wider than 4 bytes.
uint64_t Host::Ecam::read(uint64_t offset, unsigned bytes) {
    Function* function = host_.at(offset);
    if (function == nullptr) return all_ones(bytes);
    std::lock_guard guard(function->lock());
    if (bytes <= 4) return function->read_config(config_offset(offset), bytes);
    uint64_t low = function->read_config(config_offset(offset), 4);
    return low | static_cast<uint64_t>(function->read_config(config_offset(offset) + 4, 4)) << 32;
}

void Host::Ecam::write(uint64_t offset, unsigned bytes, uint64_t value) {
    Function* function = host_.at(offset);
    if (function == nullptr) return;
    std::lock_guard guard(function->lock());
    function->write_config(config_offset(offset), std::min(bytes, 4u), static_cast<uint32_t>(value));
    if (bytes > 4) function->write_config(config_offset(offset) + 4, 4, static_cast<uint32_t>(value >> 32));
}

void Host::Ecam::reset() {
    for (const auto& function : host_.functions_) {
        if (!function) continue;
        std::lock_guard guard(function->lock());
        function->reset();
    }
}

std::optional<Host::Target> Host::route(uint64_t address, unsigned bytes) const {
    std::lock_guard guard(routes_lock_);
    for (unsigned slot = 0; slot < kSlots; slot++) {
        for (const Decode& decode : routes_[slot]) {
            if (address < decode.base || address - decode.base >= decode.size) continue;
            uint64_t offset = address - decode.base;
            if (bytes > decode.size - offset) continue;
            return Target{functions_[slot].get(), decode.bar, offset};
        }
    }
    return std::nullopt;
}

uint64_t Host::Window::read(uint64_t offset, unsigned bytes) {
    std::optional<Target> target = host_.route(base_ + offset, bytes);
    if (!target) return all_ones(bytes);
    std::lock_guard guard(target->function->lock());
    return target->function->read_bar(target->bar, target->offset, bytes);
}

void Host::Window::write(uint64_t offset, unsigned bytes, uint64_t value) {
    std::optional<Target> target = host_.route(base_ + offset, bytes);
    if (!target) return;
    std::lock_guard guard(target->function->lock());
    target->function->write_bar(target->bar, target->offset, bytes, value);
}

void Host::set_decodes(unsigned slot, std::span<const Decode> decodes) {
    std::lock_guard guard(routes_lock_);
    routes_[slot].assign(decodes.begin(), decodes.end());
}

void Host::set_intx(unsigned slot, unsigned pin, bool level) {
    std::lock_guard guard(intx_lock_);
    unsigned line = line_of(slot, pin);
    uint32_t bit = uint32_t{1} << slot;
    asserted_[line] = level ? asserted_[line] | bit : asserted_[line] & ~bit;
    lines_[line].set(asserted_[line] != 0);
}

void Host::save(StateWriter& writer) const {
    for (unsigned slot = 0; slot < kSlots; slot++) {
        if (!functions_[slot]) continue;
        StateWriter inner;
        functions_[slot]->save(inner);
        writer.put_section(static_cast<uint16_t>(slot + 1), inner);
    }
}

Result<> Host::restore_functions(StateReader& reader) {
    for (unsigned slot = 0; slot < kSlots; slot++) {
        if (!functions_[slot]) continue;
        StateReader inner;
        if (reader.get_section(static_cast<uint16_t>(slot + 1), inner)) DOPPEL_CHECK(functions_[slot]->restore(inner));
    }
    return reader.finish("restore PCI");
}

Result<> Host::restore(StateReader& reader) {
    for (unsigned slot = 0; slot < kSlots; slot++) {
        if (reader.has(static_cast<uint16_t>(slot + 1)) == (functions_[slot] != nullptr)) continue;
        return fail(Error{"restore PCI", "slot " + std::to_string(slot), "the state has other devices than the machine",
                          "start the machine with the devices that it was saved with"});
    }
    StateWriter present;
    save(present);
    auto restored = restore_functions(reader);
    if (restored) return {};

    // A later function refused: the earlier ones go back to what they had, which is known to be good.
    std::vector<uint8_t> document = present.finish();
    DOPPEL_TRY(StateReader back, StateReader::parse(document));
    DOPPEL_CHECK(restore_functions(back));
    return restored;
}

}  // namespace doppel::device::pci
