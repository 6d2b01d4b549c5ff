// Board `riscv64`: the devices and the memory map of QEMU's `virt` machine, so that stock software finds what it knows.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "device/aclint.h"
#include "device/bus.h"
#include "device/cfi_flash.h"
#include "device/goldfish_rtc.h"
#include "device/pci/host.h"
#include "device/test_finisher.h"
#include "device/timebase.h"
#include "device/uart16550.h"
#include "device/virtio/mmio_transport.h"
#include "device/virtio/virtio_device.h"
#include "machine/boot/loader.h"
#include "machine/riscv64_irqchip.h"
#include "machine/spec/specification.h"
#include "memory/guest_memory.h"

namespace doppel::machine::riscv64 {

// Guest physical addresses; sizes are the devices' own where not given.
namespace map {
inline constexpr uint64_t kBootRom = 0x1000;
inline constexpr uint64_t kBootRomSize = 0xf000;
inline constexpr uint64_t kFinisher = 0x100000;
inline constexpr uint64_t kRtc = 0x101000;
inline constexpr uint64_t kClint = 0x2000000;
inline constexpr uint64_t kSswi = 0x2f00000;
inline constexpr uint64_t kPlic = 0xc000000;
inline constexpr uint64_t kAplicMachine = 0xc000000;
inline constexpr uint64_t kAplicSupervisor = 0xd000000;
inline constexpr uint64_t kUart = 0x10000000;
inline constexpr uint64_t kVirtio = 0x10001000;  // a page a slot, from slot 1 on
inline constexpr uint64_t kImsicMachine = 0x24000000;
inline constexpr uint64_t kImsicSupervisor = 0x28000000;
inline constexpr uint64_t kFlash = 0x20000000;  // two banks, one behind the other
inline constexpr uint64_t kFlashBankSize = uint64_t{32} << 20;
inline constexpr uint64_t kPciConfig = 0x30000000;
inline constexpr unsigned kPciBuses = 256;
inline constexpr uint64_t kPciWindow32 = 0x40000000;
inline constexpr uint64_t kPciWindow32Size = 0x40000000;
inline constexpr uint64_t kPciWindow64Size = uint64_t{16} << 30;  // at the first multiple of its size above RAM
inline constexpr uint64_t kRam = 0x80000000;
}  // namespace map

// Inputs of the PLIC or the APLIC.
namespace input {
inline constexpr uint32_t kUart = 10;
inline constexpr uint32_t kRtc = 11;
inline constexpr uint32_t kPci = 0x20;         // four of them
inline constexpr uint32_t kVirtio = 1;         // of the first eight slots, as on QEMU's board
inline constexpr uint32_t kMoreVirtio = 0x30;  // of the ninth and on
}  // namespace input

// Slots of the PCI bus, and of the memory-mapped transport. A device stands in the same one in every machine, so that a
// guest finds it under the same name.
namespace slot {
inline constexpr unsigned kRng = 1;
inline constexpr unsigned kConsole = 2;
inline constexpr unsigned kBalloon = 3;
inline constexpr unsigned kVsock = 4;
inline constexpr unsigned kInput = 5;
inline constexpr unsigned kNetwork = 6;  // and the three after it
inline constexpr unsigned kShare = 10;   // and the five after it
inline constexpr unsigned kDisk = 16;    // and the fifteen after it
}  // namespace slot

// A virtio device and where it is plugged in.
struct VirtioSlot {
    unsigned slot;
    std::unique_ptr<device::virtio::VirtioDevice> device;
};

// Where a slot's registers lie when they are memory-mapped, and its wire.
uint64_t virtio_address(unsigned slot);
uint32_t virtio_input(unsigned slot);

// What a board is built into. All of it outlives the board, and the loop is not running when the board goes.
struct BoardParts {
    memory::GuestMemory& memory;  // with its RAM
    uint64_t ram_size;
    EventLoop& loop;
    device::Timebase& timebase;
    device::Bus& bus;
    unsigned harts;
    Irqchip irqchip;
    HartInput hart_input;
    // The test finisher's: called on a hart's thread, must not wait for harts.
    std::function<void(device::Finish)> finish;
    std::vector<device::CfiFlash::Parts> flash;  // all banks, or none
    VirtioTransport transport = VirtioTransport::kPci;
    std::vector<VirtioSlot> virtio;  // the board's own from here on
};

// All devices but the harts.
class Board {
  public:
    static Result<std::unique_ptr<Board>> create(BoardParts parts);

    // A device that comes and goes while the machine is there; no hart runs meanwhile. Only of the PCI bus.
    Result<> plug(VirtioSlot device);
    // One that a driver has is refused.
    Result<> unplug(unsigned slot);

    // All devices to their power-on state; no hart runs.
    void reset();
    // After reset, where the host is the firmware: what firmware in M-mode prepares for S-mode.
    void hand_to_supervisor() { interrupts_->hand_to_supervisor(); }
    // The hart's IMSIC, if there is one.
    isa::riscv::InterruptFiles interrupt_files(unsigned hart) { return interrupts_->interrupt_files(hart); }

    device::Uart16550& uart() { return uart_; }
    // Of memory-mapped virtio devices.
    std::vector<unsigned> virtio_slots() const;

    struct DeviceTreeContent {
        unsigned harts;
        Irqchip irqchip;
        unsigned vector_bits = 0;  // VLEN; 0: no vector unit
        uint64_t ram_size;
        std::string command_line;
        uint64_t initrd_start = 0, initrd_end = 0;  // equal: none
        bool host_firmware;                         // then there is no M-mode, and nothing of it is named
        bool flash = false;
        std::vector<unsigned> virtio_slots{};  // of memory-mapped devices
    };
    static Result<std::vector<uint8_t>> device_tree(const DeviceTreeContent& content);

  private:
    explicit Board(const BoardParts& parts);
    Result<> map_devices(device::Bus& bus);

    device::TestFinisher finisher_;
    device::Clint clint_;
    device::Sswi sswi_;
    std::unique_ptr<InterruptController> interrupts_;
    std::vector<std::unique_ptr<device::CfiFlash>> flash_;
    device::Uart16550 uart_;
    device::GoldfishRtc rtc_;
    memory::GuestMemory& memory_;
    EventLoop& loop_;
    const VirtioTransport transport_;
    device::pci::Host pci_;
    struct MappedVirtio {
        unsigned slot;
        std::unique_ptr<device::virtio::MmioTransport> transport;
    };
    std::vector<MappedVirtio> virtio_;
};

device::pci::Layout pci_layout(uint64_t ram_size);

}  // namespace doppel::machine::riscv64
