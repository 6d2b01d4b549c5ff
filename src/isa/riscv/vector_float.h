// What the vector files with floating point share. Private to them.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Floating-Point Instructions".
#pragma once

#include "isa/float/float.h"
#include "isa/riscv/vector_operation.h"

namespace doppel::isa::riscv::vector {

using fp::Binary32;
using fp::Binary64;
using fp::Flags;
using fp::Rounding;

inline constexpr int kSingleWidth = 5, kDoubleWidth = 6;

inline void check_float(Operation& v) {
    v.float_operation();
    v.require(v.width() == kSingleWidth || v.width() == kDoubleWidth);
}
// ... of a binary32 source and a binary64 result, or the reverse; SEW is the narrow one's.
inline void check_widening_float(Operation& v) {
    v.float_operation();
    v.require(v.width() == kSingleWidth);
}

// f(format) of SEW.
template <class F>
void with_float(Operation& v, F f) {
    if (v.width() == kSingleWidth) return f(Binary32{});
    f(Binary64{});
}

// The scalar operand at SEW: the canonical NaN when it is not boxed as it should be.
inline uint64_t float_scalar(const Operation& v, const VectorOperands& o) {
    return v.width() == kSingleWidth ? fp::unbox32(o.scalar) : o.scalar;
}

// o with the scalar at SEW.
inline VectorOperands at_float_width(const Operation& v, const VectorOperands& o) {
    VectorOperands result = o;
    result.scalar = float_scalar(v, o);
    return result;
}

// frm, and flags that accrue in fflags at the end.
class FloatMode {
  public:
    explicit FloatMode(Hart& hart)
        : rounding(static_cast<Rounding>(hart.csr.frm)), flags(hart.csr.fflags), hart_(hart) {}
    FloatMode(const FloatMode&) = delete;
    FloatMode& operator=(const FloatMode&) = delete;
    ~FloatMode() {
        if (flags == hart_.csr.fflags) return;
        hart_.csr.fflags = static_cast<uint8_t>(flags);
        hart_.csr.mstatus |= mstatus::kFs;
    }

    Rounding rounding;
    Flags flags;

  private:
    Hart& hart_;
};

}  // namespace doppel::isa::riscv::vector
