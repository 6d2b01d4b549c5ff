// The engine that executes each instruction's definition in order: decoded-block cache, threaded dispatch, soft TLB.
#pragma once

#include <memory>

#include "cpu/vcpu.h"

namespace doppel::cpu::interpret {

class Interpreter final : public Engine {
  public:
    std::string_view name() const override { return "interpret"; }
    std::unique_ptr<Vcpu> make_vcpu(const VcpuParts& parts) const override;
};

}  // namespace doppel::cpu::interpret
