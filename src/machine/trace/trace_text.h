// Words for what a trace tells.
// Source: RISC-V privileged manual, "Machine Cause Register"; RISC-V SBI Specification 2.0.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "cpu/trace.h"
#include "isa/riscv/hart.h"

namespace doppel::machine::trace {

struct FirmwareCall {
    uint64_t extension;  // a7
    uint64_t function;   // a6
    std::array<uint64_t, 6> arguments;
    uint64_t pc;
    uint64_t retired;
};

// "load page fault", "supervisor timer interrupt"; "cause 24" for one without a name. `cause` as in mcause.
std::string cause_name(uint64_t cause);
// "M", "S", "U".
std::string_view privilege_name(isa::riscv::Privilege privilege);
// "load 4 at 0x80001000 = 0x2a"; the physical address follows where it is another.
std::string access_text(const cpu::TracedAccess& access);
// "13 load page fault: tval 0x55, U to S 0x80002000 handler". `hart` is where the trap leads, to code called `target`
// (may be empty).
std::string trap_text(const cpu::TracedTrap& trap, const isa::riscv::Hart& hart, std::string_view target);
// "TIME.set_timer(0x10)", with as many arguments as the function takes, all six of an unknown one.
std::string call_text(const FirmwareCall& call);

}  // namespace doppel::machine::trace
