// A guest for tests: a machine of memory, a PCI host and an event loop, and a driver that finds a virtio device there
// and drives it as a guest does, through configuration space and BARs, or memory-mapped registers, and rings in memory.
#pragma once

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_pci.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "device/device_testing.h"
#include "device/pci/testing.h"
#include "device/virtio/mmio_transport.h"
#include "device/virtio/pci_transport.h"
#include "memory/guest_memory.h"

namespace doppel::device::virtio {

inline constexpr uint64_t kFakeRam = 0x80000000;
inline constexpr uint64_t kFakeRamSize = 4 << 20;
inline constexpr uint64_t kFakeRom = 0x1000;  // a page that the guest cannot write
inline constexpr uint64_t kVersion1Feature = uint64_t{1} << VIRTIO_F_VERSION_1;
inline constexpr uint64_t kIndirectFeature = uint64_t{1} << 28;
inline constexpr uint64_t kEventIndexFeature = uint64_t{1} << 29;

inline constexpr uint16_t kNext = 1, kWrite = 2, kIndirect = 4;  // descriptor flags

inline constexpr uint64_t kFakeMmio = 0x10001000;  // a page a slot
inline constexpr uint32_t kFakeMmioLine = 0x40;    // and a line

enum class FakeTransport { kPci, kMmio };

struct FakeMachine {
    explicit FakeMachine(MsiSink* messages = nullptr, FakeTransport kind = FakeTransport::kPci)
        : transport(kind), loop(std::move(*EventLoop::create())), pci(messages) {
        mapped = pci.mapped && memory.add_region(kFakeRam, kFakeRamSize).has_value() &&
                 memory.add_region(kFakeRom, memory::kPageSize, false).has_value();
    }
    explicit FakeMachine(FakeTransport kind) : FakeMachine(nullptr, kind) {}
    void add(unsigned slot, std::unique_ptr<VirtioDevice> device) {
        if (transport == FakeTransport::kMmio) return add_mmio(slot, std::move(device));
        mapped =
            mapped && pci.host.add(slot, std::make_unique<PciTransport>(std::move(device), memory, *loop)).has_value();
    }
    void add_mmio(unsigned slot, std::unique_ptr<VirtioDevice> device) {
        mmio.push_back(
            std::make_unique<MmioTransport>(std::move(device), memory, *loop, pci.lines.line(kFakeMmioLine + slot)));
        mapped = mapped && pci.bus.map(kFakeMmio + slot * MmioTransport::kSize, MmioTransport::kSize, *mmio.back());
    }
    // Until the I/O thread would sleep: a device that stays within its share of time needs several rounds.
    void settle() {
        for (int i = 0; i < 100; i++) loop->run_ready();
    }
    // Takes the memory and the devices' state of `other`, which stays as it is: a machine restored from it.
    Result<> restore_from(const FakeMachine& other) {
        std::vector<uint8_t> ram(kFakeRamSize);
        mapped = mapped && other.memory.read(kFakeRam, ram) && memory.write(kFakeRam, ram);
        for (size_t i = 0; i < mmio.size(); i++) DOPPEL_CHECK(restore(*mmio[i], saved(*other.mmio.at(i))));
        return restore(pci.host, saved(other.pci.host));
    }
    template <class T>
    T get(uint64_t address) const {
        return memory.load<T>(address).value_or(0);
    }
    template <class T>
    void put(uint64_t address, T value) {
        mapped = memory.store<T>(address, value) && mapped;
    }

    const FakeTransport transport;
    memory::GuestMemory memory;
    std::unique_ptr<EventLoop> loop;  // outlives the devices
    pci::TestHost pci;
    std::vector<std::unique_ptr<MmioTransport>> mmio;
    bool mapped = false;  // false once anything of the scenery failed
};

// Drives one device. Registers go by the names that PCI has for them. Copyable, so that a driver goes on with a
// restored machine.
class FakeDriver {
  public:
    struct Descriptor {
        uint64_t address;
        uint32_t length;
        uint16_t flags = 0;
        uint16_t next = 0;
    };
    struct Ring {
        uint16_t size = 0;
        uint64_t descriptors = 0, available = 0, used = 0;
        uint16_t next_available = 0, next_used = 0;
        uint64_t notify = 0;  // address
        uint16_t index = 0;   // of the queue
        uint16_t told = 0;    // next_available when a kick was last considered
    };
    struct Used {
        uint16_t head;
        uint32_t written;
        bool operator==(const Used&) const = default;
    };

    static constexpr uint64_t kRegisters = pci::kTestLayout.window64_base + 0x10000;
    static constexpr uint64_t kVectors = pci::kTestLayout.window32_base + 0x10000;

    FakeDriver(FakeMachine& machine, unsigned slot) : machine_(&machine), slot_(slot) {}

    void move_to(FakeMachine& machine) { machine_ = &machine; }

    // Places the BARs and finds the structures; false when one is missing.
    bool discover() {
        if (mmio()) {
            structures_[VIRTIO_PCI_CAP_DEVICE_CFG] = mmio_at(VIRTIO_MMIO_CONFIG);
            return get(VIRTIO_MMIO_MAGIC_VALUE) == 0x74726976 && get(VIRTIO_MMIO_VERSION) == 2;
        }
        pci::TestHost& pci = machine_->pci;
        pci.set_config(slot_, PCI_BASE_ADDRESS_4, 8, kRegisters);
        pci.set_config(slot_, PCI_BASE_ADDRESS_1, 4, kVectors);
        pci.set_config(slot_, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
        for (unsigned at = 0; (at = pci.find_capability(slot_, PCI_CAP_ID_VNDR, at)) != 0;) {
            auto type = static_cast<unsigned>(pci.config(slot_, at + VIRTIO_PCI_CAP_CFG_TYPE, 1));
            if (type >= structures_.size() || structures_[type] != 0) continue;
            structures_[type] = kRegisters + pci.config(slot_, at + VIRTIO_PCI_CAP_OFFSET, 4);
            if (type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
                notify_multiplier_ = pci.config(slot_, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
            }
            if (type == VIRTIO_PCI_CAP_PCI_CFG) window_ = at;
        }
        return common() != 0 && isr_address() != 0 && structures_[VIRTIO_PCI_CAP_NOTIFY_CFG] != 0 && window_ != 0;
    }

    uint64_t read(unsigned field, unsigned bytes) const {
        return mmio() ? read_mmio(field) : machine_->pci.read(common() + field, bytes);
    }
    void write(unsigned field, unsigned bytes, uint64_t value) const {
        if (!mmio()) return (void)machine_->pci.write(common() + field, bytes, value);
        put(mmio_register(field), static_cast<uint32_t>(value));
        if (bytes == 8) put(mmio_register(field) + 4, static_cast<uint32_t>(value >> 32));
    }
    uint8_t status() const { return static_cast<uint8_t>(read(VIRTIO_PCI_COMMON_STATUS, 1)); }
    void set_status(uint8_t status) const { write(VIRTIO_PCI_COMMON_STATUS, 1, status); }
    // Why there was an interrupt; it counts as seen.
    uint8_t isr() const {
        if (!mmio()) return static_cast<uint8_t>(machine_->pci.read(isr_address(), 1));
        const uint32_t causes = get(VIRTIO_MMIO_INTERRUPT_STATUS);
        put(VIRTIO_MMIO_INTERRUPT_ACK, causes);
        return static_cast<uint8_t>(causes);
    }
    uint64_t device_config() const { return structures_[VIRTIO_PCI_CAP_DEVICE_CFG]; }
    unsigned window() const { return window_; }
    uint64_t common() const { return structures_[VIRTIO_PCI_CAP_COMMON_CFG]; }

    uint64_t offered_features() const {
        write(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
        uint64_t high = read(VIRTIO_PCI_COMMON_DF, 4);
        write(VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
        return high << 32 | read(VIRTIO_PCI_COMMON_DF, 4);
    }
    // Up to FEATURES_OK; whether the device took them.
    bool negotiate(uint64_t features) const {
        set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
        set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
        for (unsigned half : {0u, 1u}) {
            write(VIRTIO_PCI_COMMON_GFSELECT, 4, half);
            write(VIRTIO_PCI_COMMON_GF, 4, features >> (32 * half) & 0xffffffff);
        }
        set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
        return (status() & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
    }
    // Rings at `base`, which has room for three of 64 KiB each.
    Ring set_up_queue(uint16_t index, uint16_t size, uint64_t base = kFakeRam) const {
        Ring ring{
            .size = size, .descriptors = base, .available = base + 0x10000, .used = base + 0x20000, .index = index};
        write(VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
        write(VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
        write(VIRTIO_PCI_COMMON_Q_DESCLO, 8, ring.descriptors);
        for (auto [field, address] : {std::pair(VIRTIO_PCI_COMMON_Q_AVAILLO, ring.available),
                                      std::pair(VIRTIO_PCI_COMMON_Q_USEDLO, ring.used)}) {
            write(static_cast<unsigned>(field), 4, address & 0xffffffff);
            write(static_cast<unsigned>(field) + 4, 4, address >> 32);
        }
        write(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
        if (mmio()) return ring;
        ring.notify = structures_[VIRTIO_PCI_CAP_NOTIFY_CFG] + read(VIRTIO_PCI_COMMON_Q_NOFF, 2) * notify_multiplier_;
        return ring;
    }
    void ready() const { set_status(status() | VIRTIO_CONFIG_S_DRIVER_OK); }
    // All of the above for queue 0.
    std::optional<Ring> start(uint64_t features, uint16_t size) {
        if (!discover() || !negotiate(features | kVersion1Feature)) return std::nullopt;
        Ring ring = set_up_queue(0, size);
        ready();
        return ring;
    }

    void describe(uint64_t table, uint16_t index, const Descriptor& descriptor) const {
        uint64_t at = table + uint64_t{index} * 16;
        machine_->put<uint64_t>(at, descriptor.address);
        machine_->put<uint32_t>(at + 8, descriptor.length);
        machine_->put<uint16_t>(at + 12, descriptor.flags);
        machine_->put<uint16_t>(at + 14, descriptor.next);
    }
    void offer(Ring& ring, uint16_t head) const {
        machine_->put<uint16_t>(ring.available + 4 + uint64_t{2} * (ring.next_available % ring.size), head);
        std::atomic_thread_fence(std::memory_order_release);
        machine_->put<uint16_t>(ring.available + 2, ++ring.next_available);
    }
    // A chain from descriptor `head` on, linked in order.
    void submit(Ring& ring, uint16_t head, const std::vector<Descriptor>& chain) const {
        for (size_t i = 0; i < chain.size(); i++) {
            Descriptor descriptor = chain[i];
            auto index = static_cast<uint16_t>(head + i);
            if (i + 1 < chain.size()) {
                descriptor.flags |= kNext;
                descriptor.next = static_cast<uint16_t>(index + 1);
            }
            describe(ring.descriptors, index, descriptor);
        }
        offer(ring, head);
    }
    void kick(const Ring& ring) const {
        if (mmio()) return put(VIRTIO_MMIO_QUEUE_NOTIFY, ring.index);
        (void)machine_->pci.write(ring.notify, 2, ring.index);
    }
    // As a driver does that has negotiated event index: only when the device wants to hear of it (2.7.10).
    void kick_if_wanted(Ring& ring) const {
        const auto wanted = machine_->get<uint16_t>(ring.used + 4 + uint64_t{8} * ring.size);
        const auto added = static_cast<uint16_t>(ring.next_available - std::exchange(ring.told, ring.next_available));
        if (static_cast<uint16_t>(ring.next_available - wanted - 1) < added) kick(ring);
    }
    std::optional<Used> take(Ring& ring) const {
        if (machine_->get<uint16_t>(ring.used + 2) == ring.next_used) return std::nullopt;
        std::atomic_thread_fence(std::memory_order_acquire);
        uint64_t at = ring.used + 4 + uint64_t{8} * (ring.next_used++ % ring.size);
        return Used{static_cast<uint16_t>(machine_->get<uint32_t>(at)), machine_->get<uint32_t>(at + 4)};
    }
    bool interrupt() const {
        return machine_->pci.lines.level(mmio() ? kFakeMmioLine + slot_ : 0x20 + pci::Host::line_of(slot_, 1));
    }

    // Registers of MMIO, by their own names.
    uint64_t mmio_at(uint64_t offset) const { return kFakeMmio + slot_ * MmioTransport::kSize + offset; }
    uint32_t get(uint64_t offset) const { return static_cast<uint32_t>(machine_->pci.read(mmio_at(offset), 4)); }
    void put(uint64_t offset, uint32_t value) const { (void)machine_->pci.write(mmio_at(offset), 4, value); }

  private:
    bool mmio() const { return machine_->transport == FakeTransport::kMmio; }
    // How many queues there are is not said.
    uint64_t read_mmio(unsigned field) const {
        if (field != VIRTIO_PCI_COMMON_NUMQ) return get(mmio_register(field));
        uint32_t queues = 0;
        do {
            put(VIRTIO_MMIO_QUEUE_SEL, queues);
        } while (get(VIRTIO_MMIO_QUEUE_NUM_MAX) != 0 && ++queues != 0);
        return queues;
    }
    static uint64_t mmio_register(unsigned field) {
        switch (field) {
            case VIRTIO_PCI_COMMON_DFSELECT:
                return VIRTIO_MMIO_DEVICE_FEATURES_SEL;
            case VIRTIO_PCI_COMMON_DF:
                return VIRTIO_MMIO_DEVICE_FEATURES;
            case VIRTIO_PCI_COMMON_GFSELECT:
                return VIRTIO_MMIO_DRIVER_FEATURES_SEL;
            case VIRTIO_PCI_COMMON_GF:
                return VIRTIO_MMIO_DRIVER_FEATURES;
            case VIRTIO_PCI_COMMON_STATUS:
                return VIRTIO_MMIO_STATUS;
            case VIRTIO_PCI_COMMON_CFGGENERATION:
                return VIRTIO_MMIO_CONFIG_GENERATION;
            case VIRTIO_PCI_COMMON_Q_SELECT:
                return VIRTIO_MMIO_QUEUE_SEL;
            case VIRTIO_PCI_COMMON_Q_SIZE:
                return VIRTIO_MMIO_QUEUE_NUM;
            case VIRTIO_PCI_COMMON_Q_ENABLE:
                return VIRTIO_MMIO_QUEUE_READY;
            case VIRTIO_PCI_COMMON_Q_DESCLO:
            case VIRTIO_PCI_COMMON_Q_DESCHI:
                return VIRTIO_MMIO_QUEUE_DESC_LOW + field - VIRTIO_PCI_COMMON_Q_DESCLO;
            case VIRTIO_PCI_COMMON_Q_AVAILLO:
            case VIRTIO_PCI_COMMON_Q_AVAILHI:
                return VIRTIO_MMIO_QUEUE_AVAIL_LOW + field - VIRTIO_PCI_COMMON_Q_AVAILLO;
            case VIRTIO_PCI_COMMON_Q_USEDLO:
            case VIRTIO_PCI_COMMON_Q_USEDHI:
                return VIRTIO_MMIO_QUEUE_USED_LOW + field - VIRTIO_PCI_COMMON_Q_USEDLO;
            default:
                return 0x3c;  // no register of version 2
        }
    }
    uint64_t isr_address() const { return structures_[VIRTIO_PCI_CAP_ISR_CFG]; }

    FakeMachine* machine_;
    unsigned slot_;
    std::array<uint64_t, 6> structures_{};  // address by type, 0 for those that are not there
    uint64_t notify_multiplier_ = 0;
    unsigned window_ = 0;
};

}  // namespace doppel::device::virtio
