// A debugger's view of a hart's registers: their numbers, the description that GDB wants, and their values.
// Source: Debugging with GDB, appendix "Target Descriptions", "RISC-V Features".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "isa/riscv/hart.h"

namespace doppel::isa::riscv {

// Numbers: x0 to x31, pc, f0 to f31, then every control and status register, then the privilege level.
class DebugRegisters {
  public:
    static constexpr size_t kPc = 32, kGeneral = kPc + 1;

    DebugRegisters();

    size_t count() const { return rows_.size(); }
    // XML, features org.gnu.gdb.riscv.cpu, .fpu, .csr and .virtual.
    std::string description() const;
    std::string_view name(size_t number) const { return rows_[number].name; }
    static constexpr unsigned bytes(size_t) { return sizeof(uint64_t); }

    // As M-mode sees them, floating-point enabled. nullopt: the hart has no such register in its present state.
    // `number` < count().
    std::optional<uint64_t> read(Hart& hart, const Environment& environment, size_t number) const;
    // Fields take what they can. False: read-only, no such register, or no such privilege.
    bool write(Hart& hart, size_t number, uint64_t value) const;

  private:
    enum class Group : uint8_t { kInteger, kPc, kFloat, kFloatControl, kControl, kPrivilege };
    struct Row {
        Group group;
        uint32_t index;  // in the file of its group, or the number of the control register
        std::string name;
    };
    std::vector<Row> rows_;
};

}  // namespace doppel::isa::riscv
