#include "cpu/interpret/interpreter.h"

#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {

std::unique_ptr<Vcpu> make_test_vcpu(const VcpuParts& parts) {
    return Interpreter().make_vcpu(parts);
}

}  // namespace doppel::cpu::interpret
