#include <fmt/format.h>

#include "cpu/interpret/interpreter.h"
#include "device/bus.h"
#include "isa/riscv/assemble.h"
#include "isa/riscv/mmu.h"
#include "subject.h"

namespace doppel::differential {

namespace {

constexpr uint64_t kTrapPage = 0x50000000;
constexpr unsigned kA0 = 10, kA1 = 11, kA2 = 12, kA7 = 17;

class StoppedTime final : public isa::riscv::Environment {
  public:
    uint64_t time() const override { return 0; }
    std::optional<uint16_t> entropy() const override { return std::nullopt; }
};

uint64_t whole_pages(uint64_t bytes) {
    return (bytes + isa::riscv::kPageBytes - 1) & ~(isa::riscv::kPageBytes - 1);
}

// The program in memory, and a WFI at which every trap ends.
Result<> load(memory::GuestMemory& memory, const Program& program) {
    DOPPEL_CHECK(memory.add_region(kTextBase, whole_pages(program.text.size()), false));
    DOPPEL_CHECK(memory.add_region(kInputBase, whole_pages(program.inputs.size()), false));
    DOPPEL_CHECK(memory.add_region(kScratchPages, kScratchPagesBytes));
    DOPPEL_CHECK(memory.add_region(kTrapPage, isa::riscv::kPageBytes, false));
    DOPPEL_TRY(uint32_t wfi, isa::riscv::assemble("wfi"));
    bool loaded = memory.write(kTextBase, program.text) && memory.write(kInputBase, program.inputs) &&
                  memory.store<uint32_t>(kTrapPage, wfi);
    if (!loaded) return fail(Error{.failed = "load the program", .why = "it does not fit its memory"});
    return {};
}

// S-mode without translation, where environment calls come to us; everything that sequences use is on.
void prepare(isa::riscv::Hart& hart, unsigned vector_bits) {
    namespace riscv = isa::riscv;
    hart.pc = kTextBase;
    hart.privilege = riscv::Privilege::kSupervisor;
    hart.host_firmware = true;
    hart.csr.mstatus |= riscv::mstatus::kFs;
    hart.vector.reset(vector_bits);
    if (vector_bits != 0) hart.csr.mstatus |= riscv::mstatus::kVs;
    hart.csr.menvcfg |= riscv::envcfg::kCbie | riscv::envcfg::kCbcfe | riscv::envcfg::kCbze;
    hart.csr.mtvec = kTrapPage;
    constexpr uint64_t kAllOfMemory = 0x1f;  // NAPOT with R, W and X
    riscv::pmp_write_address(hart, 0, ~uint64_t{0});
    riscv::pmp_write_config(hart, 0, kAllOfMemory);
}

// What Linux would do. False: the program ended.
bool system_call(isa::riscv::Hart& hart, const memory::GuestMemory& memory, size_t state_size, Outcome& outcome) {
    hart.reservation.bytes = 0;
    hart.pc += 4;
    if (hart.x[kA7] == kSystemCallExit) return false;
    State state;
    std::span<uint8_t> bytes(reinterpret_cast<uint8_t*>(&state), state_size);
    if (hart.x[kA7] != kSystemCallWrite || hart.x[kA2] != state_size || !memory.read(hart.x[kA1], bytes)) {
        outcome.trouble = fmt::format("system call {} at {:#x}", hart.x[kA7], hart.pc);
        return false;
    }
    outcome.states.push_back(state);
    hart.x[kA0] = state_size;
    return true;
}

}  // namespace

std::unique_ptr<cpu::Engine> engine_by_name(std::string_view name) {
    if (name == "interpret") return std::make_unique<cpu::interpret::Interpreter>();
    return nullptr;
}

Result<Outcome> run_in_engine(const cpu::Engine& engine, const Program& program, uint64_t slice) {
    memory::GuestMemory memory;
    device::Bus bus;
    StoppedTime environment;
    isa::riscv::Hart hart;
    DOPPEL_CHECK(load(memory, program));
    prepare(hart, program.vector_bits);
    auto vcpu = engine.make_vcpu({hart, memory, bus, environment});
    Outcome outcome;
    // Sequences only jump forward: a pass executes each instruction at most once, and the copying of inputs.
    constexpr uint64_t kHarness = 5000;
    uint64_t limit = kPasses * (kHarness * (program.starts.size() + 1) + program.text.size());
    while (true) {
        cpu::ExitReason reason = vcpu->run(slice);
        if (reason == cpu::ExitReason::kBudget && hart.retired < limit) continue;
        if (reason == cpu::ExitReason::kFirmwareCall && hart.privilege == isa::riscv::Privilege::kSupervisor) {
            if (!system_call(hart, memory, program.state_size(), outcome)) return outcome;
            continue;
        }
        outcome.trouble =
            hart.privilege == isa::riscv::Privilege::kMachine
                ? fmt::format("trap {} at {:#x}, tval {:#x}", hart.csr.mcause, hart.csr.mepc, hart.csr.mtval)
                : fmt::format("did not end, pc {:#x}", hart.pc);
        return outcome;
    }
}

}  // namespace doppel::differential
