// Single-width integer multiplication, division and multiply-add.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Integer Arithmetic Instructions".
#include <limits>

#include "isa/riscv/vector_chunks.h"
#include "isa/riscv/vector_operation.h"

namespace doppel::isa::riscv::vector {

namespace {

// op(vs2[i], vs1[i] or scalar, vd[i])
template <class Op>
VectorResult ternary(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each(
            [&](uint64_t i) { v.set(o.vd, i, static_cast<T>(op(v.second<T>(i), v.first<T>(i), v.get<T>(o.vd, i)))); });
    });
    return v.done();
}

// The same by chunks. Not for the upper half of a product, which GCC 12 makes an unsigned one when it is signed.
template <class Op>
VectorResult lower_half(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    v.destination(), v.source2(), v.source1();
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) { each_element<decltype(zero)>(v, o, op); });
    return v.done();
}

template <class T>
T high_half(Twice<T> product) {
    return static_cast<T>(product >> (8 * sizeof(T)));
}
// Division by zero and overflow have results, as in the M extension.
template <class T>
T quotient_signed(T a, T b) {
    if (b == 0) return static_cast<T>(~T{0});
    if (b == static_cast<T>(~T{0})) return static_cast<T>(T{0} - a);
    return static_cast<T>(as_signed(a) / as_signed(b));
}
template <class T>
T remainder_signed(T a, T b) {
    if (b == 0) return a;
    if (b == static_cast<T>(~T{0})) return 0;
    return static_cast<T>(as_signed(a) % as_signed(b));
}
template <class T>
T quotient_unsigned(T a, T b) {
    return b == 0 ? std::numeric_limits<T>::max() : static_cast<T>(a / b);
}
template <class T>
T remainder_unsigned(T a, T b) {
    return b == 0 ? a : static_cast<T>(a % b);
}

}  // namespace

VECTOR_OPERATION(vmul, lower_half, [](auto a, auto b, auto) { return multiply(a, b); })
VECTOR_OPERATION(vmulh, ternary,
                 []<class T>(T a, T b, T) { return high_half<T>(multiply(sign_extended(a), sign_extended(b))); })
VECTOR_OPERATION(vmulhu, ternary,
                 []<class T>(T a, T b, T) { return high_half<T>(multiply(zero_extended(a), zero_extended(b))); })
VECTOR_OPERATION(vmulhsu, ternary,
                 []<class T>(T a, T b, T) { return high_half<T>(multiply(sign_extended(a), zero_extended(b))); })
VECTOR_OPERATION(vdivu, ternary, [](auto a, auto b, auto) { return quotient_unsigned(a, b); })
VECTOR_OPERATION(vdiv, ternary, [](auto a, auto b, auto) { return quotient_signed(a, b); })
VECTOR_OPERATION(vremu, ternary, [](auto a, auto b, auto) { return remainder_unsigned(a, b); })
VECTOR_OPERATION(vrem, ternary, [](auto a, auto b, auto) { return remainder_signed(a, b); })
VECTOR_OPERATION(vmadd, lower_half, [](auto a, auto b, auto d) { return multiply(b, d) + a; })
VECTOR_OPERATION(vnmsub, lower_half, [](auto a, auto b, auto d) { return a - multiply(b, d); })
VECTOR_OPERATION(vmacc, lower_half, [](auto a, auto b, auto d) { return multiply(a, b) + d; })
VECTOR_OPERATION(vnmsac, lower_half, [](auto a, auto b, auto d) { return d - multiply(a, b); })

}  // namespace doppel::isa::riscv::vector
