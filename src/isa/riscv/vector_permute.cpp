// Moves between scalar and vector registers, slides, gathers, compression, whole-register moves.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Permutation Instructions".
#include "isa/riscv/vector_float.h"

namespace doppel::isa::riscv::vector {

namespace {

// The scalar goes into the first element, whatever else the group holds.
template <class Scalar>
VectorResult move_to_first(VectorUnit& unit, const VectorOperands& o, Scalar scalar) {
    Operation v(unit, o);
    scalar(v);
    if (!v.legal()) return Operation::illegal();
    if (v.start() < v.length()) {
        with_width(v.width(), [&](auto zero) { v.set(o.vd, 0, static_cast<decltype(zero)>(scalar(v))); });
    }
    return v.done();
}

// Slides: destination and source are apart when the destination is read again later.
VectorResult slide_one_up(VectorUnit& unit, const VectorOperands& o, bool is_float) {
    Operation v(unit, o);
    if (is_float) check_float(v);
    v.destination(), v.source2(), v.separate(v.group_at(o.vs2));
    if (!v.legal()) return Operation::illegal();
    uint64_t scalar = is_float ? float_scalar(v, o) : o.scalar;
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each([&](uint64_t i) { v.set(o.vd, i, i == 0 ? static_cast<T>(scalar) : v.second<T>(i - 1)); });
    });
    return v.done();
}

VectorResult slide_one_down(VectorUnit& unit, const VectorOperands& o, bool is_float) {
    Operation v(unit, o);
    if (is_float) check_float(v);
    v.destination(), v.source2();
    if (!v.legal()) return Operation::illegal();
    uint64_t scalar = is_float ? float_scalar(v, o) : o.scalar;
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each([&](uint64_t i) { v.set(o.vd, i, i + 1 == v.length() ? static_cast<T>(scalar) : v.second<T>(i + 1)); });
    });
    return v.done();
}

// index(i): the element of vs2 that becomes element i.
template <class Index>
VectorResult gather(Operation& v, const VectorOperands& o, Index index) {
    uint64_t maximum = v.maximum();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.each([&](uint64_t i) {
            uint64_t from = index(i);
            v.set(o.vd, i, from < maximum ? v.second<T>(from) : T{0});
        });
    });
    return v.done();
}

}  // namespace

VectorResult vmv_x_s(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    if (!v.legal()) return Operation::illegal();
    uint64_t value = 0;
    with_width(v.width(), [&](auto zero) {
        value = static_cast<uint64_t>(static_cast<int64_t>(as_signed(v.second<decltype(zero)>(0))));
    });
    return v.done(value);
}

VectorResult vfmv_f_s(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    check_float(v);
    if (!v.legal()) return Operation::illegal();
    uint64_t value = 0;
    with_float(v, [&](auto format) {
        using F = decltype(format);
        value = v.second<typename F::Bits>(0);
        if constexpr (F::kWidth == 32) value = fp::box32(static_cast<uint32_t>(value));
    });
    return v.done(value);
}

VectorResult vmv_s_x(VectorUnit& unit, const VectorOperands& o) {
    return move_to_first(unit, o, [&](Operation&) { return o.scalar; });
}

VectorResult vfmv_s_f(VectorUnit& unit, const VectorOperands& o) {
    return move_to_first(unit, o, [&](Operation& v) {
        check_float(v);
        return v.legal() ? float_scalar(v, o) : 0;
    });
}

VectorResult vslideup(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.destination(), v.source2(), v.separate(v.group_at(o.vs2));
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        v.each([&](uint64_t i) {
            if (i >= o.scalar) v.set(o.vd, i, v.second<decltype(zero)>(i - o.scalar));
        });
    });
    return v.done();
}

VectorResult vslidedown(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.destination(), v.source2();
    if (!v.legal()) return Operation::illegal();
    uint64_t distance = std::min(o.scalar, v.maximum());
    return gather(v, o, [&](uint64_t i) { return i + distance; });
}

VectorResult vslide1up(VectorUnit& unit, const VectorOperands& o) {
    return slide_one_up(unit, o, false);
}
VectorResult vfslide1up(VectorUnit& unit, const VectorOperands& o) {
    return slide_one_up(unit, o, true);
}
VectorResult vslide1down(VectorUnit& unit, const VectorOperands& o) {
    return slide_one_down(unit, o, false);
}
VectorResult vfslide1down(VectorUnit& unit, const VectorOperands& o) {
    return slide_one_down(unit, o, true);
}

VectorResult vrgather(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.destination(), v.source2(), v.source1(), v.separate(v.group_at(o.vs2));
    if (o.first == Source::kVector) v.separate(v.group_at(o.vs1));
    if (!v.legal()) return Operation::illegal();
    if (o.first == Source::kScalar) return gather(v, o, [&](uint64_t) { return o.scalar; });
    return gather(v, o, [&](uint64_t i) {
        uint64_t index = 0;
        with_width(v.width(), [&](auto zero) { index = v.first<decltype(zero)>(i); });
        return index;
    });
}

VectorResult vrgatherei16(VectorUnit& unit, const VectorOperands& o) {
    constexpr int kIndexWidth = 4;
    Operation v(unit, o);
    int step = kIndexWidth - v.width();
    v.destination(), v.source2(), v.source1(step);
    v.separate(v.group_at(o.vs2)), v.separate(v.group_at(o.vs1, step));
    if (!v.legal()) return Operation::illegal();
    return gather(v, o, [&](uint64_t i) { return v.first<uint16_t>(i); });
}

VectorResult vcompress(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.from_the_start();
    v.destination(), v.source2(), v.separate(v.group_at(o.vs2)), v.separate({o.vs1, kMaskWidth, 0});
    v.read({o.vs1, kMaskWidth, 0});
    if (!v.legal()) return Operation::illegal();
    uint64_t to = 0;
    with_width(v.width(), [&](auto zero) {
        v.each_in_body([&](uint64_t i) {
            if (v.bit(o.vs1, i)) v.set(o.vd, to++, v.second<decltype(zero)>(i));
        });
    });
    return v.done();
}

// Elements of SEW, for vstart's sake.
VectorResult vmv_whole(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    v.require(o.vd % o.fields == 0 && o.vs2 % o.fields == 0);
    if (!v.legal()) return Operation::illegal();
    with_width(v.width(), [&](auto zero) {
        using T = decltype(zero);
        v.set_length(uint64_t{o.fields} * v.register_bytes() / sizeof(T));
        v.each_in_body([&](uint64_t i) { v.set(o.vd, i, v.second<T>(i)); });
    });
    return v.done();
}

}  // namespace doppel::isa::riscv::vector
