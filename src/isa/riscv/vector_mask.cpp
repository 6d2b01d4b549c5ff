// Instructions on masks, and those that make indices of them.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Mask Instructions".
#include <optional>

#include "isa/riscv/vector_operation.h"

namespace doppel::isa::riscv::vector {

namespace {

template <class Op>
VectorResult logical(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    if (!v.legal()) return Operation::illegal();
    v.each_in_body([&](uint64_t i) { v.set_bit(o.vd, i, op(v.bit(o.vs2, i), v.bit(o.vs1, i))); });
    return v.done();
}

std::optional<uint64_t> first_set(Operation& v, unsigned reg) {
    for (uint64_t i = 0; i < v.length(); i++) {
        if (v.active(i) && v.bit(reg, i)) return i;
    }
    return std::nullopt;
}

// choose(i, first): the bit of active element i, where `first` is the first set one, or past all.
template <class Choose>
VectorResult by_first(VectorUnit& unit, const VectorOperands& o, Choose choose) {
    Operation v(unit, o);
    v.from_the_start();
    v.require(o.vd != o.vs2 && !(o.masked && o.vd == 0));
    if (!v.legal()) return Operation::illegal();
    uint64_t first = first_set(v, o.vs2).value_or(v.length());
    v.each([&](uint64_t i) { v.set_bit(o.vd, i, choose(i, first)); });
    return v.done();
}

}  // namespace

VECTOR_OPERATION(vmand, logical, [](bool a, bool b) { return a && b; })
VECTOR_OPERATION(vmnand, logical, [](bool a, bool b) { return !(a && b); })
VECTOR_OPERATION(vmandn, logical, [](bool a, bool b) { return a && !b; })
VECTOR_OPERATION(vmxor, logical, [](bool a, bool b) { return a != b; })
VECTOR_OPERATION(vmor, logical, [](bool a, bool b) { return a || b; })
VECTOR_OPERATION(vmnor, logical, [](bool a, bool b) { return !(a || b); })
VECTOR_OPERATION(vmorn, logical, [](bool a, bool b) { return a || !b; })
VECTOR_OPERATION(vmxnor, logical, [](bool a, bool b) { return a == b; })

VECTOR_OPERATION(vmsbf, by_first, [](uint64_t i, uint64_t first) { return i < first; })
VECTOR_OPERATION(vmsif, by_first, [](uint64_t i, uint64_t first) { return i <= first; })
VECTOR_OPERATION(vmsof, by_first, [](uint64_t i, uint64_t first) { return i == first; })

VectorResult vcpop(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.from_the_start();
    if (!v.legal()) return Operation::illegal();
    uint64_t count = 0;
    v.each([&](uint64_t i) { count += v.bit(o.vs2, i); });
    return v.done(count);
}

VectorResult vfirst(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.from_the_start();
    if (!v.legal()) return Operation::illegal();
    return v.done(first_set(v, o.vs2).value_or(~uint64_t{0}));
}

VectorResult viota(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.from_the_start();
    v.destination(), v.separate({o.vs2, kMaskWidth, 0});
    if (!v.legal()) return Operation::illegal();
    uint64_t count = 0;
    with_width(v.width(), [&](auto zero) {
        v.each([&](uint64_t i) {
            v.set(o.vd, i, static_cast<decltype(zero)>(count));
            count += v.bit(o.vs2, i);
        });
    });
    return v.done();
}

VectorResult vid(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.destination();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(),
               [&](auto zero) { v.each([&](uint64_t i) { v.set(o.vd, i, static_cast<decltype(zero)>(i)); }); });
    return v.done();
}

}  // namespace doppel::isa::riscv::vector
