// Who runs the program: qemu-riscv64 as the reference, an engine of doppel as what is tested.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cpu/vcpu.h"
#include "program.h"
#include "translate/techniques.h"

namespace doppel::differential {

struct Output {
    std::vector<uint8_t> bytes;  // what the program wrote, as far as it came
    std::string trouble;         // empty: it ended as it should
};

// Runs it under the qemu-riscv64 at `qemu`. An error when that program cannot be started.
Result<Output> run_in_qemu(const std::string& qemu, const Program& program);

// nullptr for an unknown name. `techniques`: of one that translates.
std::unique_ptr<cpu::Engine> engine_by_name(std::string_view name, const translate::Techniques& techniques = {});
struct Limits {
    uint64_t slice = 1'000'000;  // at most so many instructions in one run of the vCPU
    uint64_t all = 0;            // what did not end after so many never will
};
Result<Output> run_in_engine(const cpu::Engine& engine, const Program& program, const Limits& limits);

}  // namespace doppel::differential
