// What unit tests of the interpreter share: a hart with RAM and ROM whose programs are given as assembly text and run
// until they trap.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/vcpu.h"
#include "device/bus.h"
#include "isa/riscv/assemble.h"
#include "isa/riscv/test_hart.h"

namespace doppel::cpu::interpret {

struct Trap {
    uint64_t cause;
    uint64_t pc;
    uint64_t value;

    bool operator==(const Trap&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Trap& trap) {
    return out << "cause " << trap.cause << " at 0x" << std::hex << trap.pc << " tval 0x" << trap.value << std::dec;
}

// By the engine that the test program is for: the same tests run on each.
std::unique_ptr<Vcpu> make_test_vcpu(const VcpuParts& parts);

class ProgramMachine : public isa::riscv::TestHart {
  public:
    static constexpr uint64_t kCode = kRam + 0x1000;
    static constexpr uint64_t kData = kRam + 0x100000;  // on a page boundary
    static constexpr uint64_t kRamEnd = kRam + kRamBytes;
    static constexpr uint64_t kHandler = kRam + 0x800;  // a WFI: traps end there

    ProgramMachine() {
        hart.pc = kCode;
        hart.csr.mtvec = kHandler;
        hart.csr.mstatus |= isa::riscv::mstatus::kFs;
        put(kHandler, {"wfi"});
        vcpu = make_test_vcpu({hart, memory, bus, time});
    }

    static unsigned number(std::string_view name) {
        for (unsigned n = 0; n < 32; n++) {
            if (isa::riscv::integer_register_name(n) == name || isa::riscv::float_register_name(n) == name) return n;
        }
        ADD_FAILURE() << "no register " << name;
        return 0;
    }
    uint64_t& x(std::string_view name) { return hart.x[number(name)]; }
    uint64_t& f(std::string_view name) { return hart.f[number(name)]; }

    static uint32_t assemble(std::string_view line, uint64_t pc = 0) {
        auto bits = isa::riscv::assemble(line, pc);
        if (!bits) ADD_FAILURE() << bits.error().message();
        return bits.value_or(0);
    }
    // Writes one instruction of 2 or 4 bytes; returns the address behind it.
    uint64_t put_bits(uint64_t address, uint32_t bits) {
        for (unsigned i = 0; i < isa::riscv::length_of(bits); i++)
            store<uint8_t>(address + i, static_cast<uint8_t>(bits >> 8 * i));
        return address + isa::riscv::length_of(bits);
    }
    uint64_t put(uint64_t address, const std::vector<std::string>& lines) {
        for (const std::string& line : lines) address = put_bits(address, assemble(line, address));
        return address;
    }
    template <std::unsigned_integral T>
    void store(uint64_t address, T value) {
        EXPECT_TRUE(memory.store<T>(address, value)) << "no RAM there";
    }
    template <std::unsigned_integral T>
    T load(uint64_t address) const {
        return memory.load<T>(address).value_or(static_cast<T>(0xbad));
    }

    // From hart.pc to the first trap.
    Trap run() {
        EXPECT_EQ(vcpu->run(kEnough), ExitReason::kWait) << "no trap";
        hart.reservation.bytes = 0;
        return {hart.csr.mcause, hart.csr.mepc, hart.csr.mtval};
    }
    // The lines at `address`, then an ebreak; runs them from there. The hart goes back to M-mode first.
    Trap run(const std::vector<std::string>& lines, uint64_t address = kCode) {
        end = put(address, lines);
        put_bits(end, assemble("ebreak"));
        return restart(address);
    }
    Trap run_bits(uint32_t bits, uint64_t address = kCode) {
        end = put_bits(address, bits);
        put_bits(end, assemble("ebreak"));
        return restart(address);
    }
    // Expects the lines to run through.
    void execute(const std::vector<std::string>& lines, uint64_t address = kCode) {
        Trap trap = run(lines, address);
        EXPECT_EQ(trap, ebreak()) << testing::PrintToString(lines);
    }
    Trap ebreak() const { return {isa::riscv::cause::kBreakpoint, end, end}; }
    static Trap illegal(uint64_t pc, uint32_t bits) { return {isa::riscv::cause::kIllegalInstruction, pc, bits}; }

    device::Bus bus;
    std::unique_ptr<Vcpu> vcpu;
    uint64_t end = 0;  // of the lines that ran last: the ebreak

  private:
    static constexpr uint64_t kEnough = 100'000'000;

    // New code at old addresses, as after a fence.i.
    Trap restart(uint64_t address) {
        vcpu->request_instruction_fence();
        hart.privilege = isa::riscv::Privilege::kMachine;
        hart.pc = address;
        return run();
    }
};

// Instructions of the form "OP a0, a1, a2" or "OP a0, a1": what they make of a1 and a2.
struct ResultCase {
    const char* line;
    uint64_t a1, a2;
    uint64_t a0;
};
inline void expect_results(std::initializer_list<ResultCase> cases) {
    ProgramMachine machine;
    for (const ResultCase& one : cases) {
        SCOPED_TRACE(testing::Message() << one.line << std::hex << " of " << one.a1 << ", " << one.a2);
        machine.x("a0") = 0x5555;
        machine.x("a1") = one.a1;
        machine.x("a2") = one.a2;
        machine.execute({one.line});
        EXPECT_EQ(machine.x("a0"), one.a0);
        EXPECT_EQ(machine.x("a2"), one.a2);
    }
}

}  // namespace doppel::cpu::interpret
