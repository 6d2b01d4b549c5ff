#include "device/pci/function.h"

#include <linux/pci_regs.h>

#include <vector>

namespace doppel::device::pci {

namespace {

enum Tag : uint16_t { kConfigTag = 1, kMsixTag = 2, kIntxTag = 3, kDeviceTag = 4 };

constexpr uint16_t kWritableCommand =
    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE;

constexpr unsigned bar_register(unsigned bar) {
    return PCI_BASE_ADDRESS_0 + 4 * bar;
}

}  // namespace

Function::Function(const Identity& identity) {
    config_.define<uint16_t>(PCI_VENDOR_ID, identity.vendor);
    config_.define<uint16_t>(PCI_DEVICE_ID, identity.device);
    config_.define<uint16_t>(PCI_COMMAND, 0, kWritableCommand);
    config_.define<uint32_t>(PCI_CLASS_REVISION, identity.class_code << 8 | identity.revision);
    config_.define<uint8_t>(PCI_CACHE_LINE_SIZE, 0, 0xff);
    config_.define<uint16_t>(PCI_SUBSYSTEM_VENDOR_ID, identity.subsystem_vendor);
    config_.define<uint16_t>(PCI_SUBSYSTEM_ID, identity.subsystem);
    config_.define<uint8_t>(PCI_INTERRUPT_PIN, identity.interrupt_pin);
    if (identity.interrupt_pin != 0) config_.define<uint8_t>(PCI_INTERRUPT_LINE, 0, 0xff);
}

void Function::add_bar(const Bar& bar) {
    bars_[bar.index] = bar;
    uint32_t type = bar.wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : PCI_BASE_ADDRESS_MEM_TYPE_32;
    if (bar.prefetchable) type |= PCI_BASE_ADDRESS_MEM_PREFETCH;
    uint64_t mask = ~(bar.size - 1);
    config_.define<uint32_t>(bar_register(bar.index), type, static_cast<uint32_t>(mask));
    if (bar.wide) config_.define<uint32_t>(bar_register(bar.index + 1), 0, static_cast<uint32_t>(mask >> 32));
}

void Function::offer_msix(unsigned bar, unsigned vectors) {
    msix_bar_ = bar;
    msix_wanted_ = vectors;
}

void Function::attach(Upstream& upstream, unsigned slot) {
    upstream_ = &upstream;
    slot_ = slot;
    MsiSink* sink = upstream.msi_sink();
    if (sink == nullptr || msix_wanted_ == 0) return;
    msix_.emplace(*sink, msix_wanted_);
    add_bar({.index = msix_bar_, .size = msix_->bar_size()});
    msix_capability_ = config_.add_capability(PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
    config_.define<uint16_t>(msix_capability_ + PCI_MSIX_FLAGS, static_cast<uint16_t>(msix_wanted_ - 1),
                             PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    config_.define<uint32_t>(msix_capability_ + PCI_MSIX_TABLE, msix_bar_);
    config_.define<uint32_t>(msix_capability_ + PCI_MSIX_PBA, static_cast<uint32_t>(msix_->pba_offset()) | msix_bar_);
}

uint32_t Function::read_config(unsigned offset, unsigned bytes) {
    config_reading(offset, bytes);
    return config_.read(offset, bytes);
}

void Function::write_config(unsigned offset, unsigned bytes, uint32_t value) {
    config_.write(offset, bytes, value);
    apply_config();
    config_written(offset, bytes);
}

bool Function::bus_master() const {
    return (config_.get<uint16_t>(PCI_COMMAND) & PCI_COMMAND_MASTER) != 0;
}

uint64_t Function::bar_base(unsigned bar) const {
    uint64_t base = config_.get<uint32_t>(bar_register(bar)) & static_cast<uint32_t>(PCI_BASE_ADDRESS_MEM_MASK);
    if (bars_[bar].wide) base |= static_cast<uint64_t>(config_.get<uint32_t>(bar_register(bar + 1))) << 32;
    return base;
}

void Function::apply_config() {
    if (upstream_ == nullptr) return;
    if (msix_) {
        uint16_t control = config_.get<uint16_t>(msix_capability_ + PCI_MSIX_FLAGS);
        msix_->set_gate((control & PCI_MSIX_FLAGS_ENABLE) != 0, (control & PCI_MSIX_FLAGS_MASKALL) != 0, bus_master());
    }
    std::array<Decode, kBars> decodes;
    size_t count = 0;
    if ((config_.get<uint16_t>(PCI_COMMAND) & PCI_COMMAND_MEMORY) != 0) {
        for (unsigned i = 0; i < kBars; i++) {
            // A guest that leaves a BAR at 0 has not given it a place, whatever it enables.
            if (bars_[i].size != 0 && bar_base(i) != 0) decodes[count++] = {i, bar_base(i), bars_[i].size};
        }
    }
    upstream_->set_decodes(slot_, std::span(decodes).first(count));
    apply_intx();
}

void Function::set_intx(bool level) {
    intx_ = level;
    apply_intx();
}

void Function::apply_intx() {
    // The status bit shows the request even while the disable bit keeps it from the pin (PCI 3.0, 6.2.3).
    uint16_t status = config_.get<uint16_t>(PCI_STATUS) & ~PCI_STATUS_INTERRUPT;
    config_.set<uint16_t>(PCI_STATUS, intx_ ? status | PCI_STATUS_INTERRUPT : status);
    unsigned pin = config_.get<uint8_t>(PCI_INTERRUPT_PIN);
    if (upstream_ == nullptr || pin == 0) return;
    bool disabled = (config_.get<uint16_t>(PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) != 0 || enabled_msix() != nullptr;
    upstream_->set_intx(slot_, pin, intx_ && !disabled);
}

uint64_t Function::read_bar(unsigned bar, uint64_t offset, unsigned bytes) {
    if (bar >= kBars || bars_[bar].size == 0) return all_ones(bytes);
    if (msix_ && bar == msix_bar_) return msix_->read(offset, bytes);
    return read_device(bar, offset, bytes);
}

void Function::write_bar(unsigned bar, uint64_t offset, unsigned bytes, uint64_t value) {
    if (bar >= kBars || bars_[bar].size == 0) return;
    if (msix_ && bar == msix_bar_) return msix_->write(offset, bytes, value);
    write_device(bar, offset, bytes, value);
}

void Function::reset() {
    config_.reset();
    if (msix_) msix_->reset();
    intx_ = false;
    apply_config();
    reset_device();
}

void Function::save(StateWriter& writer) const {
    std::lock_guard guard(lock_);
    ConfigSpace::Image image = config_.image();
    writer.section(kConfigTag, image);
    if (msix_) {
        Msix::State table = msix_->state();
        writer.section(kMsixTag, table);
    }
    writer.field(kIntxTag, intx_);
    StateWriter device;
    save_device(device);
    writer.put_section(kDeviceTag, device);
}

Result<> Function::restore(StateReader& reader) {
    std::lock_guard guard(lock_);
    ConfigSpace::Image image = config_.image();
    Msix::State table = msix_ ? msix_->state() : Msix::State{};
    bool intx = intx_;
    reader.section(kConfigTag, image);
    if (msix_) reader.section(kMsixTag, table);
    reader.field(kIntxTag, intx);
    StateReader device;
    reader.get_section(kDeviceTag, device);
    DOPPEL_CHECK(reader.finish(name()));
    DOPPEL_CHECK(config_.check(image));
    if (msix_) DOPPEL_CHECK(msix_->check(table));
    DOPPEL_CHECK(restore_device(device));

    config_.adopt(image);
    if (msix_) msix_->adopt(table);
    intx_ = intx;
    apply_config();
    restored();
    return {};
}

}  // namespace doppel::device::pci
