// Widening floating-point arithmetic: binary32 sources, binary64 results.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Widening Floating-Point ...".
#include "isa/riscv/vector_float.h"

namespace doppel::isa::riscv::vector {

namespace {

// Exact; signaling NaNs raise invalid here already.
uint64_t widened(uint32_t a, FloatMode& mode) {
    return fp::convert<Binary64, Binary32>(a, mode.rounding, mode.flags);
}

// op(vs2[i], vs1[i] or scalar, vd[i], mode) of binary64
template <bool wide2, bool accumulates, class Op>
VectorResult widening(VectorUnit& unit, const VectorOperands& o, Op op) {
    Operation v(unit, o);
    check_widening_float(v);
    v.destination(1), v.source2(wide2 ? 1 : 0), v.source1();
    if (accumulates) v.read(v.group_at(o.vd, 1));
    if (!v.legal()) return Operation::illegal();
    FloatMode mode(unit.hart);
    uint32_t scalar = fp::unbox32(o.scalar);
    v.each([&](uint64_t i) {
        uint32_t first = o.first == Source::kVector ? v.get<uint32_t>(o.vs1, i) : scalar;
        uint64_t a = wide2 ? v.second<uint64_t>(i) : widened(v.second<uint32_t>(i), mode);
        v.set<uint64_t>(o.vd, i, op(a, widened(first, mode), v.get<uint64_t>(o.vd, i), mode));
    });
    return v.done();
}

using Bits = uint64_t;

}  // namespace

VECTOR_OPERATION(vfwadd, (widening<false, false>),
                 [](Bits a, Bits b, Bits, FloatMode& m) { return fp::add<Binary64>(a, b, m.rounding, m.flags); })
VECTOR_OPERATION(vfwsub, (widening<false, false>),
                 [](Bits a, Bits b, Bits, FloatMode& m) { return fp::sub<Binary64>(a, b, m.rounding, m.flags); })
VECTOR_OPERATION(vfwadd_w, (widening<true, false>),
                 [](Bits a, Bits b, Bits, FloatMode& m) { return fp::add<Binary64>(a, b, m.rounding, m.flags); })
VECTOR_OPERATION(vfwsub_w, (widening<true, false>),
                 [](Bits a, Bits b, Bits, FloatMode& m) { return fp::sub<Binary64>(a, b, m.rounding, m.flags); })
VECTOR_OPERATION(vfwmul, (widening<false, false>),
                 [](Bits a, Bits b, Bits, FloatMode& m) { return fp::mul<Binary64>(a, b, m.rounding, m.flags); })
VECTOR_OPERATION(vfwmacc, (widening<false, true>),
                 [](Bits a, Bits b, Bits d, FloatMode& m) { return fp::fmadd<Binary64>(b, a, d, m.rounding, m.flags); })
VECTOR_OPERATION(vfwnmacc, (widening<false, true>), [](Bits a, Bits b, Bits d, FloatMode& m) {
    return fp::fnmadd<Binary64>(b, a, d, m.rounding, m.flags);
})
VECTOR_OPERATION(vfwmsac, (widening<false, true>),
                 [](Bits a, Bits b, Bits d, FloatMode& m) { return fp::fmsub<Binary64>(b, a, d, m.rounding, m.flags); })
VECTOR_OPERATION(vfwnmsac, (widening<false, true>), [](Bits a, Bits b, Bits d, FloatMode& m) {
    return fp::fnmsub<Binary64>(b, a, d, m.rounding, m.flags);
})

}  // namespace doppel::isa::riscv::vector
