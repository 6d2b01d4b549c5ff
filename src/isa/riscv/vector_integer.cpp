// Single-width integer arithmetic: addition, logic, shifts, minimum and maximum, extension, comparison, carries, moves.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Integer Arithmetic Instructions".
#include "isa/riscv/vector_chunks.h"
#include "isa/riscv/vector_operation.h"

namespace doppel::isa::riscv::vector {

namespace {

// op(vs2[i], vs1[i] or scalar)
template <class Op>
VectorResult binary(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        each_element<T>(v, o, [&](T a, T b, T) { return op(a, b); });
    });
    return v.done();
}

template <class Op>
VectorResult compare(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.mask_destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each([&](uint64_t i) { v.set_bit(o.vd, i, op(v.second<T>(i), v.first<T>(i))); });
    });
    return v.done();
}

// Sources that are 2^step times as narrow.
template <int step, bool is_signed>
VectorResult extend(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.destination(), v.source2(-step);
    v.require(v.width() - step >= kByteWidth);
    if (!v.legal()) return Operation::illegal();
    with_width(v.width() - step, [&](auto zero) {
        using T = decltype(zero);
        v.each([&](uint64_t i) {
            T narrow = v.second<T>(i);
            uint64_t wide = is_signed ? static_cast<uint64_t>(static_cast<int64_t>(as_signed(narrow))) : narrow;
            with_width(v.width(), [&](auto result) { v.set(o.vd, i, static_cast<decltype(result)>(wide)); });
        });
    });
    return v.done();
}

// op(vs2[i], vs1[i], carry); the mask is the carry, and all elements are written.
template <class Op>
VectorResult with_carry(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each_in_body([&](uint64_t i) {
            v.set(o.vd, i, static_cast<T>(op(v.second<T>(i), v.first<T>(i), static_cast<T>(v.bit(0, i)))));
        });
    });
    return v.done();
}

// The carry or borrow out of op(vs2[i], vs1[i], carry), which computes in twice the width.
template <bool carries_in, class Op>
VectorResult carry_out(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.mask_destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each_in_body([&](uint64_t i) {
            Twice<T> carry = carries_in && v.bit(0, i);
            Twice<T> wide =
                static_cast<Twice<T>>(op(zero_extended(v.second<T>(i)), zero_extended(v.first<T>(i)), carry));
            v.set_bit(o.vd, i, (wide >> (8 * sizeof(T)) & 1) != 0);
        });
    });
    return v.done();
}

template <class T>
unsigned shift_of(T amount) {
    return static_cast<unsigned>(amount & (8 * sizeof(T) - 1));
}

constexpr auto kAddCarry = [](auto a, auto b, auto carry) { return a + b + carry; };
constexpr auto kSubtractBorrow = [](auto a, auto b, auto borrow) { return a - b - borrow; };

}  // namespace

VECTOR_OPERATION(vadd, binary, [](auto a, auto b) { return a + b; })
VECTOR_OPERATION(vsub, binary, [](auto a, auto b) { return a - b; })
VECTOR_OPERATION(vrsub, binary, [](auto a, auto b) { return b - a; })
VECTOR_OPERATION(vminu, binary, [](auto a, auto b) { return std::min(a, b); })
VECTOR_OPERATION(vmin, binary, [](auto a, auto b) { return std::min(as_signed(a), as_signed(b)); })
VECTOR_OPERATION(vmaxu, binary, [](auto a, auto b) { return std::max(a, b); })
VECTOR_OPERATION(vmax, binary, [](auto a, auto b) { return std::max(as_signed(a), as_signed(b)); })
VECTOR_OPERATION(vand, binary, [](auto a, auto b) { return a & b; })
VECTOR_OPERATION(vor, binary, [](auto a, auto b) { return a | b; })
VECTOR_OPERATION(vxor, binary, [](auto a, auto b) { return a ^ b; })
VECTOR_OPERATION(vsll, binary, [](auto a, auto b) { return static_cast<uint64_t>(a) << shift_of(b); })
VECTOR_OPERATION(vsrl, binary, [](auto a, auto b) { return a >> shift_of(b); })
VECTOR_OPERATION(vsra, binary, [](auto a, auto b) { return as_signed(a) >> shift_of(b); })

VECTOR_OPERATION(vmseq, compare, [](auto a, auto b) { return a == b; })
VECTOR_OPERATION(vmsne, compare, [](auto a, auto b) { return a != b; })
VECTOR_OPERATION(vmsltu, compare, [](auto a, auto b) { return a < b; })
VECTOR_OPERATION(vmslt, compare, [](auto a, auto b) { return as_signed(a) < as_signed(b); })
VECTOR_OPERATION(vmsleu, compare, [](auto a, auto b) { return a <= b; })
VECTOR_OPERATION(vmsle, compare, [](auto a, auto b) { return as_signed(a) <= as_signed(b); })
VECTOR_OPERATION(vmsgtu, compare, [](auto a, auto b) { return a > b; })
VECTOR_OPERATION(vmsgt, compare, [](auto a, auto b) { return as_signed(a) > as_signed(b); })

VECTOR_OPERATION(vadc, with_carry, kAddCarry)
VECTOR_OPERATION(vsbc, with_carry, kSubtractBorrow)
VECTOR_OPERATION(vmadc, carry_out<false>, kAddCarry)
VECTOR_OPERATION(vmadc_carry, carry_out<true>, kAddCarry)
VECTOR_OPERATION(vmsbc, carry_out<false>, kSubtractBorrow)
VECTOR_OPERATION(vmsbc_borrow, carry_out<true>, kSubtractBorrow)

VectorResult vzext_vf2(VectorUnit& unit, const VectorOperands& o) {
    return extend<1, false>(unit, o);
}
VectorResult vzext_vf4(VectorUnit& unit, const VectorOperands& o) {
    return extend<2, false>(unit, o);
}
VectorResult vzext_vf8(VectorUnit& unit, const VectorOperands& o) {
    return extend<3, false>(unit, o);
}
VectorResult vsext_vf2(VectorUnit& unit, const VectorOperands& o) {
    return extend<1, true>(unit, o);
}
VectorResult vsext_vf4(VectorUnit& unit, const VectorOperands& o) {
    return extend<2, true>(unit, o);
}
VectorResult vsext_vf8(VectorUnit& unit, const VectorOperands& o) {
    return extend<3, true>(unit, o);
}

// The mask selects.
VectorResult vmerge(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each_in_body([&](uint64_t i) { v.set(o.vd, i, v.bit(0, i) ? v.first<T>(i) : v.second<T>(i)); });
    });
    return v.done();
}

VectorResult vmv_v(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.destination(), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each_in_body([&](uint64_t i) { v.set(o.vd, i, v.first<T>(i)); });
    });
    return v.done();
}

}  // namespace doppel::isa::riscv::vector
