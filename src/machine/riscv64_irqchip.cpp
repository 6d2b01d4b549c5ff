#include "machine/riscv64_irqchip.h"

#include <bit>
#include <vector>

#include "device/aplic.h"
#include "device/imsic.h"
#include "device/plic.h"
#include "machine/riscv64_board.h"

namespace doppel::machine::riscv64 {

namespace {

namespace irq = isa::riscv::irq;
using device::Aplic;
using device::Imsic;
using device::InterruptLine;

void reset_device(device::Device& device) {
    std::lock_guard guard(device.lock());
    device.reset();
}

std::vector<InterruptLine> hart_lines(unsigned harts, const HartInput& input, unsigned interrupt) {
    std::vector<InterruptLine> lines;
    for (unsigned i = 0; i < harts; i++) lines.push_back(input(i, interrupt));
    return lines;
}

class PlicController final : public InterruptController {
  public:
    PlicController(unsigned harts, const HartInput& input) : plic_(contexts(harts, input)) {}

    Result<> map(device::Bus& bus) override { return bus.map(map::kPlic, device::Plic::kSize, plic_, {4, 4}); }
    void reset() override { reset_device(plic_); }
    InterruptLine input(uint32_t number) override { return {plic_, number}; }
    device::MsiSink* messages() override { return nullptr; }
    isa::riscv::InterruptFiles interrupt_files(unsigned) override { return {}; }
    void hand_to_supervisor() override {}  // each hart has a context for S-mode

  private:
    // In the order of QEMU's `virt`: for each hart M, then S.
    static std::vector<InterruptLine> contexts(unsigned harts, const HartInput& input) {
        std::vector<InterruptLine> lines;
        for (unsigned i = 0; i < harts; i++) {
            lines.push_back(input(i, irq::kMachineExternal));
            lines.push_back(input(i, irq::kSupervisorExternal));
        }
        return lines;
    }

    device::Plic plic_;
};

// Stores that reach an interrupt file's page. Messages to any other address are lost: nothing else receives them.
class MessageRouter final : public device::MsiSink {
  public:
    MessageRouter(Imsic& machine, Imsic& supervisor) : machine_(machine), supervisor_(supervisor) {}

    void send(uint64_t address, uint32_t data) override {
        if (address >= map::kImsicSupervisor) {
            supervisor_.receive(address - map::kImsicSupervisor, data);
        } else if (address >= map::kImsicMachine) {
            machine_.receive(address - map::kImsicMachine, data);
        }
    }

  private:
    Imsic& machine_;
    Imsic& supervisor_;
};

class AiaController final : public InterruptController {
  public:
    AiaController(unsigned harts, const HartInput& input)
        : machine_files_("imsic (machine)", hart_lines(harts, input, irq::kMachineExternal)),
          supervisor_files_("imsic (supervisor)", hart_lines(harts, input, irq::kSupervisorExternal)),
          router_(machine_files_, supervisor_files_),
          aplic_(direct_lines(harts), router_),
          hart_index_bits_(static_cast<unsigned>(std::bit_width(harts - 1))) {}

    Result<> map(device::Bus& bus) override {
        DOPPEL_CHECK(bus.map(map::kAplicMachine, Aplic::kSize, aplic_.machine(), {4, 4}));
        DOPPEL_CHECK(bus.map(map::kAplicSupervisor, Aplic::kSize, aplic_.supervisor(), {4, 4}));
        DOPPEL_CHECK(bus.map(map::kImsicMachine, machine_files_.size(), machine_files_, {4, 4}));
        return bus.map(map::kImsicSupervisor, supervisor_files_.size(), supervisor_files_, {4, 4});
    }

    void reset() override {
        for (device::Device* one : std::initializer_list<device::Device*>{&aplic_.machine(), &aplic_.supervisor(),
                                                                          &machine_files_, &supervisor_files_}) {
            reset_device(*one);
        }
    }

    InterruptLine input(uint32_t number) override { return {aplic_, number}; }
    device::MsiSink* messages() override { return &router_; }
    isa::riscv::InterruptFiles interrupt_files(unsigned hart) override {
        return {&machine_files_.file(hart), &supervisor_files_.file(hart)};
    }

    void hand_to_supervisor() override {
        device::Device& domain = aplic_.machine();
        std::lock_guard guard(domain.lock());
        auto store = [&](uint64_t offset, uint32_t value) { domain.write(offset, 4, value); };
        for (uint32_t source = 1; source <= aplic_.sources(); source++) {
            store(Aplic::kSourceConfig + uint64_t{4} * source, Aplic::kDelegate);
        }
        constexpr unsigned kPageShift = 12;
        store(Aplic::kSupervisorAddress, map::kImsicSupervisor >> kPageShift);
        store(Aplic::kSupervisorAddressHigh, 0);
        store(Aplic::kMachineAddress, map::kImsicMachine >> kPageShift);
        store(Aplic::kMachineAddressHigh, Aplic::kAddressLock | hart_index_bits_ << Aplic::kHartWidthShift);
    }

  private:
    std::vector<Aplic::HartLines> direct_lines(unsigned harts) {
        std::vector<Aplic::HartLines> lines;
        for (unsigned i = 0; i < harts; i++) {
            lines.push_back({machine_files_.direct_input(i), supervisor_files_.direct_input(i)});
        }
        return lines;
    }

    Imsic machine_files_;
    Imsic supervisor_files_;
    MessageRouter router_;
    Aplic aplic_;
    const unsigned hart_index_bits_;
};

}  // namespace

std::unique_ptr<InterruptController> make_interrupt_controller(Irqchip kind, unsigned harts, const HartInput& input) {
    if (kind == Irqchip::kPlic) return std::make_unique<PlicController>(harts, input);
    return std::make_unique<AiaController>(harts, input);
}

}  // namespace doppel::machine::riscv64
