// What tests of the interpreter's privileged side share: a ProgramMachine with a device, and a layout for page tables.
#pragma once

#include <functional>
#include <stdexcept>

#include "cpu/interpret/program_machine.h"
#include "isa/riscv/test_page_tables.h"

namespace doppel::cpu::interpret {

// Notes accesses. Reads give `value`.
class TestDevice final : public device::Device {
  public:
    struct Access {
        bool write;
        uint64_t offset;
        unsigned bytes;
        uint64_t value;
        bool operator==(const Access&) const = default;
    };
    std::string_view name() const override { return "test"; }
    uint64_t read(uint64_t offset, unsigned bytes) override {
        uint64_t seen = bytes == 8 ? value : value & ((uint64_t{1} << (8 * bytes)) - 1);
        accesses.push_back({false, offset, bytes, seen});
        return seen;
    }
    void write(uint64_t offset, unsigned bytes, uint64_t written) override {
        accesses.push_back({true, offset, bytes, written});
        if (on_write) on_write(written);
    }
    void reset() override {}

    uint64_t value = 0x8182'8384'8586'8788;
    std::vector<Access> accesses;
    std::function<void(uint64_t)> on_write;
};

namespace reg {
inline constexpr unsigned kA0 = 10, kA1 = 11, kA2 = 12, kA3 = 13, kA4 = 14, kA5 = 15;
}

class TestBoard : public ProgramMachine {
  public:
    static constexpr uint64_t kDevice = 0x1000'0000, kDeviceBytes = 0x2000, kNowhere = 0x7000'0000;
    static constexpr uint64_t kTables = kRam + 0x80'0000;
    static constexpr uint64_t kPage = kRam + 0x20'0000;  // for data and code; on a boundary of 2 MiB
    static constexpr uint64_t kPageBytes = isa::riscv::kPageBytes;

    TestBoard() {
        if (!bus.map(kDevice, kDeviceBytes, device)) throw std::logic_error("the device does not fit");
    }

    uint64_t& reg(unsigned n) { return hart.x[n]; }
    uint64_t word(uint64_t address) const { return load<uint64_t>(address); }
    void put_halfword(uint64_t address, uint32_t value) { store(address, static_cast<uint16_t>(value)); }

    TestDevice device;
};

}  // namespace doppel::cpu::interpret
