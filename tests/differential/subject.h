// Who runs the program: qemu-riscv64 as the reference, an engine of doppel as what is tested.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cpu/vcpu.h"
#include "program.h"

namespace doppel::differential {

struct Outcome {
    std::vector<State> states;  // what the sequences left, pass by pass, as far as they came
    std::string trouble;        // empty: the program ended as it should
};

// Runs it under the qemu-riscv64 at `qemu`. An error when that program cannot be started.
Result<Outcome> run_in_qemu(const std::string& qemu, const Program& program);

// nullptr for an unknown name.
std::unique_ptr<cpu::Engine> engine_by_name(std::string_view name);
// At most `slice` instructions in one run of the vCPU.
Result<Outcome> run_in_engine(const cpu::Engine& engine, const Program& program, uint64_t slice);

}  // namespace doppel::differential
