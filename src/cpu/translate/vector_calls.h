// The functions of isa/riscv/vector.h in the shape that translated code calls them in. Where one can not be done as a
// whole, for a trap or for what is not memory, the interpreter goes on with it from vstart.
#pragma once

#include <cstdint>
#include <utility>

#include "cpu/translate/hart_layout.h"
#include "isa/riscv/hart.h"
#include "isa/riscv/vector.h"

namespace doppel::cpu::translate {

// What an instruction says of its operands, as one argument.
constexpr uint64_t packed(const isa::riscv::vector::VectorOperands& o) {
    return o.vd | uint64_t{o.vs1} << 8 | uint64_t{o.vs2} << 16 | uint64_t{o.fields} << 24 | uint64_t{o.width} << 32 |
           uint64_t{o.masked} << 40 | uint64_t{o.first == isa::riscv::vector::Source::kScalar} << 41;
}
constexpr isa::riscv::vector::VectorOperands unpacked(uint64_t bits) {
    using isa::riscv::vector::Source;
    return {.vd = static_cast<uint8_t>(bits),
            .vs1 = static_cast<uint8_t>(bits >> 8),
            .vs2 = static_cast<uint8_t>(bits >> 16),
            .masked = (bits >> 40 & 1) != 0,
            .fields = static_cast<uint8_t>(bits >> 24),
            .width = static_cast<uint8_t>(bits >> 32),
            .first = (bits >> 41 & 1) != 0 ? Source::kScalar : Source::kVector};
}

// By the tier whose code calls it.
uint64_t execute_vector(void* state, isa::riscv::vector::VectorFunction& function,
                        const isa::riscv::vector::VectorOperands& operands);
uint64_t finish_vector(void* state, const isa::riscv::vector::VectorResult& result);

// The arguments are the scalar, the stride, and the rest, packed.
template <auto Function>
struct VectorHelper {
    static uint64_t call(void* state, const uint64_t* arguments, uint64_t) {
        isa::riscv::vector::VectorOperands operands = unpacked(arguments[2]);
        operands.scalar = arguments[0];
        operands.stride = arguments[1];
        return execute_vector(state, *Function, operands);
    }
};

template <auto Function, class Type = decltype(Function)>
struct ConfigureHelper;
template <auto Function, class... A>
struct ConfigureHelper<Function, isa::riscv::vector::VectorResult (*)(isa::riscv::Hart&, A...)> {
    static uint64_t call(void* state, const uint64_t* arguments, uint64_t) {
        return expand(state, arguments, std::index_sequence_for<A...>{});
    }

  private:
    template <size_t... I>
    static uint64_t expand(void* state, const uint64_t* arguments, std::index_sequence<I...>) {
        return finish_vector(state, Function(hart_of(state), arguments[I]...));
    }
};

}  // namespace doppel::cpu::translate
