// What the tests of PCI share: a host on a bus, a function that remembers its accesses, a receiver of messages.
#pragma once

#include <linux/pci_regs.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "device/bus.h"
#include "device/device_testing.h"
#include "device/pci/host.h"

namespace doppel::device::pci {

class RecordedMessages final : public MsiSink {
  public:
    void send(uint64_t address, uint32_t data) override { sent.emplace_back(address, data); }
    std::vector<std::pair<uint64_t, uint32_t>> sent;
};

inline constexpr uint64_t kTestEcam = 0x30000000;
inline constexpr Layout kTestLayout = {.buses = 2,
                                       .window32_base = 0x40000000,
                                       .window32_size = 0x40000000,
                                       .window64_base = 0x400000000,
                                       .window64_size = 0x400000000};

// A host whose ranges are on a bus, and configuration accesses as a guest makes them.
struct TestHost {
    explicit TestHost(MsiSink* messages = nullptr)
        : host(kTestLayout, {lines.line(0x20), lines.line(0x21), lines.line(0x22), lines.line(0x23)}, messages) {
        mapped = bus.map(kTestEcam, host.ecam_size(), host.ecam()).has_value() &&
                 bus.map(kTestLayout.window32_base, kTestLayout.window32_size, host.window32()).has_value() &&
                 bus.map(kTestLayout.window64_base, kTestLayout.window64_size, host.window64()).has_value();
    }

    static uint64_t config_address(unsigned slot, unsigned offset) {
        return kTestEcam + (uint64_t{slot} << 15) + offset;
    }
    uint64_t read(uint64_t address, unsigned bytes) const { return bus.read(address, bytes).value_or(0xbad); }
    bool write(uint64_t address, unsigned bytes, uint64_t value) const { return bus.write(address, bytes, value); }
    uint64_t config(unsigned slot, unsigned offset, unsigned bytes) const {
        return read(config_address(slot, offset), bytes);
    }
    void set_config(unsigned slot, unsigned offset, unsigned bytes, uint64_t value) const {
        (void)write(config_address(slot, offset), bytes, value);
    }
    // The offset of a capability, or 0.
    unsigned find_capability(unsigned slot, uint8_t id, unsigned after = 0) const {
        uint64_t at = config(slot, after == 0 ? unsigned{PCI_CAPABILITY_LIST} : after + PCI_CAP_LIST_NEXT, 1);
        while (at != 0 && config(slot, static_cast<unsigned>(at), 1) != id) {
            at = config(slot, static_cast<unsigned>(at) + PCI_CAP_LIST_NEXT, 1);
        }
        return static_cast<unsigned>(at);
    }
    void reset() {
        std::lock_guard guard(host.ecam().lock());
        host.ecam().reset();
    }

    RecordedLines lines;
    Host host;
    Bus bus;
    bool mapped = false;
};

// BAR 0: 4 KiB, 32 bits. BAR 2: 8 GiB, 64 bits. BAR 5: MSI-X with three vectors.
class TestFunction final : public Function {
  public:
    static constexpr unsigned kMsixBar = 5;
    static constexpr uint64_t kWideSize = uint64_t{8} << 30;

    explicit TestFunction(uint8_t pin = 1, uint16_t device = 0x5678)
        : Function({.vendor = 0x1234,
                    .device = device,
                    .class_code = 0x088000,
                    .revision = 7,
                    .subsystem_vendor = 0x4321,
                    .subsystem = 0x8765,
                    .interrupt_pin = pin}) {
        add_bar({.index = 0, .size = 0x1000});
        add_bar({.index = 2, .size = kWideSize, .wide = true, .prefetchable = true});
        offer_msix(kMsixBar, 3);
    }

    std::string_view name() const override { return "test function"; }
    void request(bool level) {
        std::lock_guard guard(lock());
        set_intx(level);
    }
    bool raise(unsigned vector) {
        std::lock_guard guard(lock());
        Msix* msix = enabled_msix();
        if (msix != nullptr) msix->raise(vector);
        return msix != nullptr;
    }

    uint64_t register_value = 0;
    uint64_t last_offset = 0;
    unsigned last_bar = kBars;
    int resets = 0;

  private:
    uint64_t read_device(unsigned bar, uint64_t offset, unsigned bytes) override {
        last_bar = bar;
        last_offset = offset;
        return register_value & all_ones(bytes);
    }
    void write_device(unsigned bar, uint64_t offset, unsigned, uint64_t value) override {
        last_bar = bar;
        last_offset = offset;
        register_value = value;
    }
    void reset_device() override {
        register_value = 0;
        resets++;
    }
    void save_device(StateWriter& writer) const override { writer.field(1, register_value); }
    Result<> restore_device(StateReader& reader) override {
        uint64_t value = register_value;
        reader.field(1, value);
        DOPPEL_CHECK(reader.finish("restore test function"));
        register_value = value;
        return {};
    }
};

inline TestFunction& add_test_function(TestHost& host, unsigned slot, uint8_t pin = 1, uint16_t device = 0x5678) {
    auto function = std::make_unique<TestFunction>(pin, device);
    TestFunction& reference = *function;
    (void)host.host.add(slot, std::move(function));
    return reference;
}

}  // namespace doppel::device::pci
