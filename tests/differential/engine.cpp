#include <fmt/format.h>

#include "cpu/interpret/interpreter.h"
#if DOPPEL_TRANSLATE
#include "cpu/check/checker.h"
#include "cpu/translate/translator.h"
#endif
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

// What Linux would do.
class Kernel {
  public:
    Kernel(isa::riscv::Hart& hart, const memory::GuestMemory& memory) : hart_(hart), memory_(memory) {}

    Output& output() { return output_; }
    // False: the program ended.
    bool system_call() {
        hart_.reservation.bytes = 0;
        hart_.pc += 4;
        if (hart_.x[kA7] == kSystemCallExit) return false;
        bool known = hart_.x[kA7] == kSystemCallWrite       ? write()
                     : hart_.x[kA7] == kSystemCallSigaction ? set_handler()
                                                            : false;
        if (!known) output_.trouble = fmt::format("system call {} at {:#x}", hart_.x[kA7], hart_.pc);
        return known;
    }
    // Leads a trap to the program's handler. False: it has none.
    bool signal() {
        if (handler_ == 0) return false;
        hart_.pc = handler_;
        hart_.privilege = isa::riscv::Privilege::kSupervisor;
        bool illegal = hart_.csr.mcause == isa::riscv::cause::kIllegalInstruction;
        hart_.x[kA0] = illegal ? kSignalIllegal : kSignalSegmentation;
        return true;
    }

  private:
    bool write() {
        constexpr uint64_t kLargest = sizeof(State);
        uint64_t count = hart_.x[kA2];
        if (count > kLargest) return false;
        size_t at = output_.bytes.size();
        output_.bytes.resize(at + count);
        if (!memory_.read(hart_.x[kA1], std::span(output_.bytes).subspan(at))) return false;
        hart_.x[kA0] = count;
        return true;
    }
    // The handler's address is the first member of struct sigaction.
    bool set_handler() {
        auto address = memory_.load<uint64_t>(hart_.x[kA1]);
        if (!address) return false;
        handler_ = *address;
        hart_.x[kA0] = 0;
        return true;
    }

    isa::riscv::Hart& hart_;
    const memory::GuestMemory& memory_;
    Output output_;
    uint64_t handler_ = 0;
};

#if DOPPEL_TRANSLATE
constexpr size_t kCacheBytes = size_t{64} << 20;

// Each program is another machine, and so has a code cache of its own; all of it is translated before it runs.
class FreshTranslator final : public cpu::Engine {
  public:
    explicit FreshTranslator(const translate::Techniques& techniques) : techniques_(techniques) {}
    std::string_view name() const override { return "translate"; }
    std::unique_ptr<cpu::Vcpu> make_vcpu(const cpu::VcpuParts& parts) const override {
        auto engine =
            cpu::translate::Translator::create({.cache_bytes = kCacheBytes, .techniques = techniques_, .hot = 0});
        return engine ? (*engine)->make_vcpu(parts) : nullptr;
    }

  private:
    const translate::Techniques techniques_;
};

// The same, compared with the interpreter block by block. What differs ends the program.
class FreshChecker final : public cpu::Engine {
  public:
    explicit FreshChecker(const translate::Techniques& techniques) : techniques_(techniques) {}
    std::string_view name() const override { return "check"; }
    std::unique_ptr<cpu::Vcpu> make_vcpu(const cpu::VcpuParts& parts) const override {
        auto engine =
            cpu::check::Checker::create({.cache_bytes = kCacheBytes, .techniques = techniques_},
                                        [](const std::string& difference) { fmt::print(stderr, "{}", difference); });
        return engine ? (*engine)->make_vcpu(parts) : nullptr;
    }

  private:
    const translate::Techniques techniques_;
};
#endif

}  // namespace

std::unique_ptr<cpu::Engine> engine_by_name(std::string_view name,
                                            [[maybe_unused]] const translate::Techniques& techniques) {
    if (name == "interpret") return std::make_unique<cpu::interpret::Interpreter>();
#if DOPPEL_TRANSLATE
    if (name == "translate") return std::make_unique<FreshTranslator>(techniques);
    if (name == "check") return std::make_unique<FreshChecker>(techniques);
#endif
    return nullptr;
}

Result<Output> run_in_engine(const cpu::Engine& engine, const Program& program, const Limits& limits) {
    memory::GuestMemory memory;
    device::Bus bus;
    StoppedTime environment;
    isa::riscv::Hart hart;
    DOPPEL_CHECK(load(memory, program));
    prepare(hart, program.vector_bits);
    auto vcpu = engine.make_vcpu({hart, memory, bus, environment});
    Kernel kernel(hart, memory);
    while (true) {
        cpu::ExitReason reason = vcpu->run(limits.slice);
        bool trapped = hart.privilege == isa::riscv::Privilege::kMachine;
        if (trapped && kernel.signal()) continue;
        if (reason == cpu::ExitReason::kBudget && hart.retired < limits.all) continue;
        if (reason == cpu::ExitReason::kFirmwareCall && !trapped) {
            if (!kernel.system_call()) return kernel.output();
            continue;
        }
        kernel.output().trouble =
            trapped ? fmt::format("trap {} at {:#x}, tval {:#x}", hart.csr.mcause, hart.csr.mepc, hart.csr.mtval)
                    : fmt::format("did not end, pc {:#x}", hart.pc);
        return kernel.output();
    }
}

}  // namespace doppel::differential
