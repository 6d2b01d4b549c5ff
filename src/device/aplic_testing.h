// What the APLIC's unit tests share: its registers' places, and one with two harts.
#pragma once

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "device/aplic.h"
#include "device/device_testing.h"

namespace doppel::device::aplic_testing {

inline constexpr uint64_t kDomaincfg = 0, kSetip = 0x1c00, kSetipnum = 0x1cdc, kInClrip = 0x1d00, kClripnum = 0x1ddc;
inline constexpr uint64_t kSetie = 0x1e00, kSetienum = 0x1edc, kClrie = 0x1f00, kClrienum = 0x1fdc;
inline constexpr uint64_t kSetipnumLe = 0x2000, kSetipnumBe = 0x2004, kGenmsi = 0x3000;
inline constexpr uint32_t kIe = 1 << 8, kDm = 1 << 2, kFixed = 0x80000000;
enum Mode : uint32_t { kInactive = 0, kDetached = 1, kEdge1 = 4, kEdge0 = 5, kLevel1 = 6, kLevel0 = 7 };

constexpr uint64_t sourcecfg(uint32_t source) {
    return uint64_t{4} * source;
}
constexpr uint64_t target(uint32_t source) {
    return 0x3000 + uint64_t{4} * source;
}
constexpr uint32_t to_hart(uint32_t hart, uint32_t what) {
    return hart << 18 | what;
}
struct Idc {
    static constexpr uint64_t at(uint64_t hart, uint64_t offset) { return 0x4000 + 32 * hart + offset; }
    static constexpr uint64_t idelivery(uint64_t hart) { return at(hart, 0); }
    static constexpr uint64_t iforce(uint64_t hart) { return at(hart, 4); }
    static constexpr uint64_t ithreshold(uint64_t hart) { return at(hart, 8); }
    static constexpr uint64_t topi(uint64_t hart) { return at(hart, 0x18); }
    static constexpr uint64_t claimi(uint64_t hart) { return at(hart, 0x1c); }
};

class RecordedMessages final : public MsiSink {
  public:
    using Message = std::pair<uint64_t, uint32_t>;
    void send(uint64_t address, uint32_t data) override { sent.emplace_back(address, data); }
    std::vector<Message> take() { return std::exchange(sent, {}); }
    std::vector<Message> sent;
};

// Lines 0 and 1 are the harts' machine level, 10 and 11 their supervisor level.
struct AplicParts {
    RecordedLines lines;
    RecordedMessages messages;
    Aplic aplic{{{lines.line(0), lines.line(10)}, {lines.line(1), lines.line(11)}}, messages, 40};

    Device& domain(bool machine) { return machine ? aplic.machine() : aplic.supervisor(); }
    uint32_t read(bool machine, uint64_t offset) {
        std::lock_guard guard(domain(machine).lock());
        return static_cast<uint32_t>(domain(machine).read(offset, 4));
    }
    void write(bool machine, uint64_t offset, uint32_t value) {
        std::lock_guard guard(domain(machine).lock());
        domain(machine).write(offset, 4, value);
    }
};

class AplicTest : public ::testing::Test, public AplicParts {
  protected:
    static constexpr uint32_t kSource = 33;
    static constexpr uint64_t kWord = 4 * (kSource / 32);
    static constexpr uint32_t kBit = 1 << (kSource % 32);

    uint32_t read(uint64_t offset) { return AplicParts::read(true, offset); }
    void write(uint64_t offset, uint32_t value) { AplicParts::write(true, offset, value); }
    uint32_t read_s(uint64_t offset) { return AplicParts::read(false, offset); }
    void write_s(uint64_t offset, uint32_t value) { AplicParts::write(false, offset, value); }
    bool pending() { return (read(kSetip + kWord) & kBit) != 0; }
    void wire(bool level) { aplic.set_level(kSource, level); }

    // The source goes to hart 1 with priority 7.
    void direct(Mode mode) {
        write(kDomaincfg, kIe);
        write(sourcecfg(kSource), mode);
        write(target(kSource), to_hart(1, 7));
        write(kSetienum, kSource);
        write(Idc::idelivery(1), 1);
    }
    // The source goes to hart 1 as identity 50.
    void by_message(Mode mode) {
        write(Aplic::kMachineAddress, 0x24000);
        write(Aplic::kMachineAddressHigh, 1 << Aplic::kHartWidthShift);
        write(kDomaincfg, kIe | kDm);
        write(sourcecfg(kSource), mode);
        write(target(kSource), to_hart(1, 50));
        write(kSetienum, kSource);
    }
    static constexpr RecordedMessages::Message kMessage{0x24001000, 50};
};

}  // namespace doppel::device::aplic_testing
