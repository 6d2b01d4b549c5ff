#include "machine/riscv64_board.h"

#include "device/virtio/pci_transport.h"
#include "isa/riscv/hart.h"

namespace doppel::machine::riscv64 {

namespace irq = isa::riscv::irq;

namespace {

std::vector<device::Clint::HartLines> clint_lines(unsigned harts, const HartInput& input) {
    std::vector<device::Clint::HartLines> lines;
    for (unsigned i = 0; i < harts; i++)
        lines.push_back({input(i, irq::kMachineSoftware), input(i, irq::kMachineTimer)});
    return lines;
}

std::vector<device::InterruptLine> sswi_lines(unsigned harts, const HartInput& input) {
    std::vector<device::InterruptLine> lines;
    for (unsigned i = 0; i < harts; i++) lines.push_back(input(i, irq::kSupervisorSoftware));
    return lines;
}

}  // namespace

device::pci::Layout pci_layout(uint64_t ram_size) {
    uint64_t above_ram = map::kRam + ram_size;
    uint64_t window = (above_ram + map::kPciWindow64Size - 1) / map::kPciWindow64Size * map::kPciWindow64Size;
    return {.buses = map::kPciBuses,
            .window32_base = map::kPciWindow32,
            .window32_size = map::kPciWindow32Size,
            .window64_base = window,
            .window64_size = map::kPciWindow64Size};
}

uint64_t virtio_address(unsigned slot) {
    return map::kVirtio + (slot - 1) * device::virtio::MmioTransport::kSize;
}

uint32_t virtio_input(unsigned slot) {
    constexpr unsigned kFirst = 8;
    return slot <= kFirst ? input::kVirtio + slot - 1 : input::kMoreVirtio + slot - kFirst - 1;
}

std::vector<unsigned> Board::virtio_slots() const {
    std::vector<unsigned> slots;
    for (const MappedVirtio& one : virtio_) slots.push_back(one.slot);
    return slots;
}

Board::Board(const BoardParts& parts)
    : finisher_(parts.finish),
      clint_(parts.timebase, parts.loop, clint_lines(parts.harts, parts.hart_input)),
      sswi_(sswi_lines(parts.harts, parts.hart_input)),
      interrupts_(make_interrupt_controller(parts.irqchip, parts.harts, parts.hart_input)),
      uart_(interrupts_->input(input::kUart)),
      rtc_(parts.loop, interrupts_->input(input::kRtc)),
      memory_(parts.memory),
      loop_(parts.loop),
      transport_(parts.transport),
      pci_(pci_layout(parts.ram_size),
           {interrupts_->input(input::kPci), interrupts_->input(input::kPci + 1), interrupts_->input(input::kPci + 2),
            interrupts_->input(input::kPci + 3)},
           interrupts_->messages()) {}

Result<std::unique_ptr<Board>> Board::create(BoardParts parts) {
    std::unique_ptr<Board> board(new Board(parts));
    for (VirtioSlot& one : parts.virtio) {
        if (parts.transport == VirtioTransport::kMmio) {
            auto line = board->interrupts_->input(virtio_input(one.slot));
            board->virtio_.push_back({one.slot, std::make_unique<device::virtio::MmioTransport>(
                                                    std::move(one.device), parts.memory, parts.loop, line)});
            continue;
        }
        DOPPEL_CHECK(board->plug(std::move(one)));
    }
    for (const device::CfiFlash::Parts& bank : parts.flash) {
        board->flash_.push_back(std::make_unique<device::CfiFlash>(bank));
    }
    DOPPEL_CHECK(board->map_devices(parts.bus));
    return board;
}

Result<> Board::plug(VirtioSlot device) {
    if (transport_ != VirtioTransport::kPci)
        return fail(
            Error{"plug in a device", "the machine", "its devices are memory-mapped", "start it with --virtio pci"});
    return pci_.add(device.slot,
                    std::make_unique<device::virtio::PciTransport>(std::move(device.device), memory_, loop_));
}

Result<> Board::unplug(unsigned slot) {
    const auto* function = transport_ == VirtioTransport::kPci
                               ? dynamic_cast<device::virtio::PciTransport*>(pci_.function(slot))
                               : nullptr;
    if (function == nullptr) return fail(Error{"unplug a device", "the machine", "there is none in that slot", ""});
    if (!function->free())
        return fail(Error{"unplug a device", std::string(function->name()), "the guest's driver has it", ""});
    pci_.remove(slot);
    return {};
}

Result<> Board::map_devices(device::Bus& bus) {
    DOPPEL_CHECK(bus.map(map::kFinisher, device::TestFinisher::kSize, finisher_, {2, 4}));
    DOPPEL_CHECK(bus.map(map::kRtc, device::GoldfishRtc::kSize, rtc_, {4, 4}));
    DOPPEL_CHECK(bus.map(map::kClint, device::Clint::kSize, clint_, {4, 8}));
    DOPPEL_CHECK(bus.map(map::kSswi, device::Sswi::kSize, sswi_, {4, 4}));
    DOPPEL_CHECK(interrupts_->map(bus));
    DOPPEL_CHECK(bus.map(map::kUart, device::Uart16550::kSize, uart_, {1, 8}));
    DOPPEL_CHECK(bus.map(map::kPciConfig, pci_.ecam_size(), pci_.ecam(), {1, 8}));
    for (size_t i = 0; i < flash_.size(); i++) {
        DOPPEL_CHECK(bus.map(map::kFlash + i * map::kFlashBankSize, map::kFlashBankSize, *flash_[i], {1, 8}));
    }
    for (const MappedVirtio& one : virtio_) {
        DOPPEL_CHECK(bus.map(virtio_address(one.slot), device::virtio::MmioTransport::kSize, *one.transport, {1, 8}));
    }
    const device::pci::Layout& layout = pci_.layout();
    DOPPEL_CHECK(bus.map(layout.window32_base, layout.window32_size, pci_.window32(), {1, 8}));
    return bus.map(layout.window64_base, layout.window64_size, pci_.window64(), {1, 8});
}

void Board::reset() {
    for (const auto& bank : flash_) {
        std::lock_guard guard(bank->lock());
        bank->reset();
    }
    for (const MappedVirtio& one : virtio_) {
        std::lock_guard guard(one.transport->lock());
        one.transport->reset();
    }
    for (device::Device* one :
         std::initializer_list<device::Device*>{&finisher_, &clint_, &sswi_, &uart_, &rtc_, &pci_.ecam()}) {
        std::lock_guard guard(one->lock());
        one->reset();
    }
    interrupts_->reset();  // last: a wire that is still high interrupts again
}

}  // namespace doppel::machine::riscv64
