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

// Numbers: x0 to x31, pc, f0 to f31, then every control and status register, then the privilege level, then v0 to v31.
// Values are little-endian bytes.
class DebugRegisters {
  public:
    static constexpr size_t kPc = 32, kGeneral = kPc + 1;

    // Of harts with vector registers of so many bits; without any (0) their control registers are left out too.
    explicit DebugRegisters(unsigned vector_bits);

    size_t count() const { return rows_.size(); }
    // XML, features org.gnu.gdb.riscv.cpu, .fpu, .csr, .virtual and .vector.
    std::string description() const;
    std::string_view name(size_t number) const { return rows_[number].name; }
    unsigned bytes(size_t number) const {
        return rows_[number].group == Group::kVector ? vector_bits_ / 8 : sizeof(uint64_t);
    }

    // As M-mode sees them, floating-point and vectors enabled. nullopt: the hart has no such register in its present
    // state. `number` < count().
    std::optional<std::string> read(Hart& hart, const Environment& environment, size_t number) const;
    // Fields take what they can; `value` is bytes(number) long. False: read-only, no such register, or no such
    // privilege.
    bool write(Hart& hart, size_t number, std::string_view value) const;

  private:
    enum class Group : uint8_t { kInteger, kPc, kFloat, kFloatControl, kControl, kPrivilege, kVector };
    struct Row {
        Group group;
        uint32_t index;  // in the file of its group, or the number of the control register
        std::string name;
    };
    static std::string_view feature_of(Group group);
    static std::string attributes_of(const Row& row);
    std::optional<uint64_t> read_scalar(Hart& hart, const Environment& environment, const Row& row) const;
    bool write_scalar(Hart& hart, const Row& row, uint64_t value) const;

    unsigned vector_bits_;
    std::vector<Row> rows_;
};

}  // namespace doppel::isa::riscv
