// Random vector instructions.
#pragma once

#include <memory>
#include <optional>

#include "generate.h"

namespace doppel::differential {

class LegalityOracle;

// Units that configure the vector unit and use it.
class VectorGenerator {
  public:
    VectorGenerator(Random& random, unsigned vector_bits);
    ~VectorGenerator();

    Unit unit();

  private:
    // SEW and LMUL by their logarithms.
    struct Type {
        int width;
        int group;
    };
    Type random_type();
    uint32_t encoded(Type type);
    uint64_t largest_length(Type type) const;
    // vl becomes at most `length`, or about any when there is none.
    void configure(Unit& unit, Type type, std::optional<uint64_t> length);
    void start_late(Unit& unit);
    void set_rounding(Unit& unit);
    // Instruction bits that are given, not random.
    struct Fixed {
        uint32_t mask, bits;
    };
    // A random instruction that is legal in this type; false: none was found.
    bool add_legal(Unit& unit, Type type, isa::riscv::InstructionId id, Fixed fixed);
    Unit arithmetic();
    Unit memory();
    bool add_unit_stride(Unit& unit, isa::riscv::InstructionId id);
    bool add_strided(Unit& unit, isa::riscv::InstructionId id);
    bool add_indexed(Unit& unit, isa::riscv::InstructionId id);
    bool add_whole(Unit& unit, isa::riscv::InstructionId id);
    // Bytes that an access reaches around its base, both exclusive of what is beyond.
    struct Extent {
        int64_t low, high;
    };
    // The base register's setting and the access.
    bool add_access(Unit& unit, Type type, isa::riscv::InstructionId id, Extent extent, Fixed fixed);

    Random& random_;
    unsigned vector_bits_;
    std::unique_ptr<LegalityOracle> oracle_;
};

}  // namespace doppel::differential
