#include "machine/riscv64_irqchip.h"

#include <gtest/gtest.h>

#include "device/aplic.h"
#include "device/device_testing.h"
#include "machine/riscv64_board.h"

namespace doppel::machine::riscv64 {
namespace {

namespace irq = isa::riscv::irq;
using device::RecordedLines;
using isa::riscv::InterruptFile;

class Irqchips : public ::testing::Test {
  protected:
    static constexpr unsigned kHarts = 3;
    // The lines of hart h are 100 h plus the interrupt's number.
    static constexpr uint32_t line(unsigned hart, unsigned interrupt) { return 100 * hart + interrupt; }

    std::unique_ptr<InterruptController> make(Irqchip kind) {
        auto made = make_interrupt_controller(
            kind, kHarts, [this](unsigned hart, unsigned interrupt) { return lines.line(line(hart, interrupt)); });
        EXPECT_TRUE(made->map(bus));
        return made;
    }
    void store(uint64_t address, uint32_t value) { EXPECT_TRUE(bus.write(address, 4, value)) << std::hex << address; }
    // Identity `identity` of the hart's supervisor-level file is delivered.
    static void accept(InterruptController& chip, unsigned hart, uint32_t identity) {
        InterruptFile& file = *chip.interrupt_files(hart).supervisor;
        file.write(InterruptFile::kDelivery, 1, ~uint64_t{0});
        file.write(InterruptFile::kEnabled, ~uint64_t{0}, uint64_t{1} << identity);
    }

    RecordedLines lines;
    device::Bus bus;
};

TEST_F(Irqchips, WireOfADeviceReachesTheSupervisorsFileOfTheChosenHart) {
    constexpr uint32_t kDomaincfg = 0, kTarget = 0x3000, kSetienum = 0x1edc, kLevelHigh = 6, kIdentity = 20;
    auto chip = make(Irqchip::kAia);
    chip->hand_to_supervisor();
    accept(*chip, 2, kIdentity);
    // As a kernel in S-mode does: the firmware's part is done.
    store(map::kAplicSupervisor + kDomaincfg, 1 << 8 | 1 << 2);
    store(map::kAplicSupervisor + 4 * input::kUart, kLevelHigh);
    store(map::kAplicSupervisor + kTarget + 4 * input::kUart, 2 << 18 | kIdentity);
    store(map::kAplicSupervisor + kSetienum, input::kUart);
    chip->input(input::kUart).set(true);
    EXPECT_TRUE(lines.level(line(2, irq::kSupervisorExternal)));
    EXPECT_EQ(chip->interrupt_files(2).supervisor->top(), kIdentity << 16 | kIdentity);
    // The firmware has locked the addresses.
    store(map::kAplicMachine + device::Aplic::kSupervisorAddress, 0);
    EXPECT_EQ(bus.read(map::kAplicMachine + device::Aplic::kSupervisorAddress, 4), map::kImsicSupervisor >> 12);

    chip->reset();
    EXPECT_FALSE(lines.level(line(2, irq::kSupervisorExternal)));
    EXPECT_EQ(bus.read(map::kAplicMachine + device::Aplic::kSupervisorAddress, 4), 0u);
}

TEST_F(Irqchips, MessagesReachTheFileOfTheirPageAndNothingElse) {
    auto chip = make(Irqchip::kAia);
    for (unsigned hart = 0; hart < kHarts; hart++) accept(*chip, hart, 5);
    chip->messages()->send(map::kImsicSupervisor + 0x1000, 5);
    EXPECT_TRUE(lines.level(line(1, irq::kSupervisorExternal)));
    for (uint64_t address : {uint64_t{0}, map::kRam, map::kImsicSupervisor - 4, map::kImsicSupervisor + 0x3000,
                             map::kImsicMachine - 4, map::kImsicMachine + 0x3000, ~uint64_t{3}}) {
        chip->messages()->send(address, 5);
    }
    for (unsigned hart : {0u, 2u}) EXPECT_FALSE(lines.level(line(hart, irq::kSupervisorExternal))) << hart;
    chip->messages()->send(map::kImsicMachine + 0x2000, 9);
    EXPECT_EQ(chip->interrupt_files(2).machine->read(InterruptFile::kPending), uint64_t{1} << 9);
}

TEST_F(Irqchips, HartsSendMessagesByStores) {
    auto chip = make(Irqchip::kAia);
    accept(*chip, 2, 1);
    store(map::kImsicSupervisor + 0x2000, 1);
    EXPECT_TRUE(lines.level(line(2, irq::kSupervisorExternal)));
    EXPECT_FALSE(bus.write(map::kImsicSupervisor + 0x2000, 8, 1));
    EXPECT_FALSE(bus.write(map::kImsicSupervisor + 0x3000, 4, 1)) << "no such hart";
}

TEST_F(Irqchips, FreshAplicDeliversDirectlyThroughTheFiles) {
    constexpr uint32_t kIdelivery = 0x4000, kIforce = 0x4004;
    auto chip = make(Irqchip::kAia);
    store(map::kAplicMachine, 1 << 8);
    store(map::kAplicMachine + kIdelivery + 32, 1);
    store(map::kAplicMachine + kIforce + 32, 1);
    EXPECT_TRUE(lines.level(line(1, irq::kMachineExternal)));
    chip->interrupt_files(1).machine->write(InterruptFile::kDelivery, 0, ~uint64_t{0});
    EXPECT_FALSE(lines.level(line(1, irq::kMachineExternal)));
}

TEST_F(Irqchips, PlicHasWiresOnlyAndTwoContextsAHart) {
    auto chip = make(Irqchip::kPlic);
    EXPECT_EQ(chip->messages(), nullptr);
    EXPECT_EQ(chip->interrupt_files(0).machine, nullptr);
    EXPECT_EQ(chip->interrupt_files(0).supervisor, nullptr);
    chip->hand_to_supervisor();
    constexpr uint64_t kContext = 3;  // S-mode of hart 1
    store(map::kPlic + 4 * input::kUart, 1);
    store(map::kPlic + 0x2000 + 0x80 * kContext, 1 << input::kUart);
    chip->input(input::kUart).set(true);
    EXPECT_TRUE(lines.level(line(1, irq::kSupervisorExternal)));
    EXPECT_FALSE(bus.read(map::kImsicSupervisor, 4));
}

}  // namespace
}  // namespace doppel::machine::riscv64
