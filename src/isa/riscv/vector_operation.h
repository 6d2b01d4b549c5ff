// What the files vector_*.cpp share: an instruction's view of the vector registers, and the rules on register groups.
// Private to them.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Instruction Formats": operands and masking.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "isa/riscv/vector.h"

namespace doppel::isa::riscv::vector {

inline constexpr int kByteWidth = 3;     // widths are logarithms of bits
inline constexpr int kLargestWidth = 6;  // ELEN
inline constexpr int kMaskWidth = 0;
inline constexpr int kSmallestGroup = -3, kLargestGroup = 3;  // the logarithm of LMUL and EMUL

// vtype's fields; only while vill is 0.
constexpr int width_of(uint64_t vtype) {
    return kByteWidth + static_cast<int>(vtype >> 3 & 7);
}
constexpr int group_of(uint64_t vtype) {
    int field = static_cast<int>(vtype & 7);
    return field < 4 ? field : field - 8;
}
// VLMAX.
constexpr uint64_t largest_length(unsigned register_bytes, uint64_t vtype) {
    uint64_t bits = uint64_t{register_bytes} * 8;
    int group = group_of(vtype), width = width_of(vtype);
    return group >= 0 ? (bits << group) >> width : bits >> -group >> width;
}

// NOLINTBEGIN(readability-identifier-naming): `type`, as in the standard library's traits
template <class T>
struct Wider;
template <>
struct Wider<uint8_t> {
    using type = uint16_t;
};
template <>
struct Wider<uint16_t> {
    using type = uint32_t;
};
template <>
struct Wider<uint32_t> {
    using type = uint64_t;
};
template <>
struct Wider<uint64_t> {
    __extension__ using type = unsigned __int128;
};
template <class T>
using Twice = typename Wider<T>::type;

template <class T>
struct Signed {
    using type = std::make_signed_t<T>;
};
template <>
struct Signed<Twice<uint64_t>> {
    __extension__ using type = __int128;
};
// NOLINTEND(readability-identifier-naming)
// The same bits as a signed number.
template <class T>
constexpr auto as_signed(T value) {
    return static_cast<typename Signed<T>::type>(value);
}
template <class T>
constexpr Twice<T> zero_extended(T value) {
    return value;
}
template <class T>
constexpr Twice<T> sign_extended(T value) {
    return static_cast<Twice<T>>(as_signed(value));
}
// Modulo 2^N, where narrow types would become int, which overflows.
template <class T>
constexpr T multiply(T a, T b) {
    if constexpr (sizeof(T) <= 8) return static_cast<T>(uint64_t{a} * uint64_t{b});
    if constexpr (sizeof(T) > 8) return a * b;
}

// Calls f with a zero of the unsigned type of that width.
template <class F>
void with_width(int width, F f) {
    switch (width) {
        case 3:
            return f(uint8_t{0});
        case 4:
            return f(uint16_t{0});
        case 5:
            return f(uint32_t{0});
        default:
            return f(uint64_t{0});
    }
}
// The widths that have a Twice of at most ELEN.
template <class F>
void with_narrow_width(int width, F f) {
    with_width(width, [&](auto zero) {
        if constexpr (sizeof zero < 8) f(zero);
    });
}

// Registers that an operand names.
struct Group {
    int first;
    int width;  // of its elements; kMaskWidth
    int group;  // EMUL; 0 for masks and single elements

    int size() const { return group > 0 ? 1 << group : 1; }
    bool overlaps(const Group& other) const {
        return first < other.first + other.size() && other.first < first + size();
    }
};

class Operation {
  public:
    Operation(VectorUnit& unit, const VectorOperands& operands)
        : unit_(unit),
          o_(operands),
          vector_(unit.hart.vector),
          registers_(vector_.registers.data()),
          register_bytes_(vector_.register_bytes()) {
        legal_ = enabled(unit.hart) && !(vector_.vtype & VectorState::kIllegalType);
        width_ = width_of(vector_.vtype), group_ = group_of(vector_.vtype);
        length_ = vector_.vl;
        if (operands.masked) read({0, kMaskWidth, 0});
    }

    // ---- Legality. The destination is named before the sources.

    int width() const { return width_; }
    int group() const { return group_; }
    void require(bool condition) { legal_ = legal_ && condition; }
    bool legal() const { return legal_; }
    // Groups of elements 2^step times as wide as SEW.
    void destination(int step = 0) {
        destination_ = checked(o_.vd, step);
        require(!o_.masked || o_.vd != 0);
    }
    void mask_destination() { destination_ = {o_.vd, kMaskWidth, 0}; }
    // Only what holds for any group.
    void check(const Group& group) {
        require(group.width == kMaskWidth || (group.width >= kByteWidth && group.width <= kLargestWidth));
        require(group.group >= kSmallestGroup && group.group <= kLargestGroup);
        require(legal_ && group.first % group.size() == 0);
    }
    // A single element in a register of its own, which may overlap anything.
    void scalar_destination() { free_destination_ = true; }
    void source1(int step = 0) {
        if (o_.first == Source::kVector) source(checked(o_.vs1, step));
    }
    void source2(int step = 0) { source(checked(o_.vs2, step)); }
    void source(const Group& group) {
        check(group);
        require(free_destination_ || allowed_overlap(group));
        read(group);
    }
    // A group that is read, beside what source() is told: no register may be read with two widths.
    void read(const Group& group) {
        for (unsigned i = 0; i < reads_; i++) require(read_[i].width == group.width || !read_[i].overlaps(group));
        if (reads_ < read_.size()) read_[reads_++] = group;
    }
    // For instructions whose destination overlaps no source, be the widths as they may.
    void separate(const Group& group) { require(!destination_.overlaps(group)); }
    Group group_at(int first, int step = 0) const { return {first, width_ + step, group_ + step}; }
    // Reading what an earlier part left unfinished makes no sense to these.
    void from_the_start() { require(vector_.vstart == 0); }
    void float_operation() {
        constexpr unsigned kLastRounding = 4;
        require(unit_.hart.float_enabled() && unit_.hart.csr.frm <= kLastRounding);
    }

    // ---- Elements. Groups are as checked.

    uint64_t length() const { return length_; }
    uint64_t start() const { return vector_.vstart; }
    uint64_t maximum() const { return largest_length(register_bytes_, vector_.vtype); }
    unsigned register_bytes() const { return register_bytes_; }
    void set_length(uint64_t elements) { length_ = elements; }

    template <class T>
    T get(unsigned reg, uint64_t i) const {
        T value;
        std::memcpy(&value, at(reg, i * sizeof(T)), sizeof value);
        return value;
    }
    template <class T>
    void set(unsigned reg, uint64_t i, T value) {
        std::memcpy(at(reg, i * sizeof(T)), &value, sizeof value);
    }
    // The registers of a group lie one behind the other.
    uint8_t* bytes_of(unsigned reg) { return at(reg, 0); }
    template <class T>
    T second(uint64_t i) const {
        return get<T>(o_.vs2, i);
    }
    template <class T>
    T first(uint64_t i) const {
        return o_.first == Source::kVector ? get<T>(o_.vs1, i) : static_cast<T>(o_.scalar);
    }
    bool bit(unsigned reg, uint64_t i) const { return *at(reg, i / 8) >> (i % 8) & 1; }
    void set_bit(unsigned reg, uint64_t i, bool value) {
        uint8_t* byte = at(reg, i / 8);
        *byte = static_cast<uint8_t>((*byte & ~(1u << (i % 8))) | static_cast<unsigned>(value) << (i % 8));
    }
    bool active(uint64_t i) const { return !o_.masked || bit(0, i); }

    // body(i) for each element of the body that is active.
    template <class F>
    void each(F body) {
        for (uint64_t i = vector_.vstart; i < length_; i++) {
            if (active(i)) body(i);
        }
    }
    // ... masked or not.
    template <class F>
    void each_in_body(F body) {
        for (uint64_t i = vector_.vstart; i < length_; i++) body(i);
    }

    // ---- The end

    static VectorResult illegal() { return {VectorResult::Outcome::kIllegal}; }
    VectorResult done(uint64_t value = 0) {
        vector_.vstart = 0;
        unit_.hart.csr.mstatus |= mstatus::kVs;
        return {VectorResult::Outcome::kDone, value};
    }
    VectorResult left_at(uint64_t i) {
        vector_.vstart = i;
        unit_.hart.csr.mstatus |= mstatus::kVs;
        return {VectorResult::Outcome::kLeft};
    }

    Hart& hart() { return unit_.hart; }
    VectorState& vector() { return vector_; }
    VectorMemory& memory() { return unit_.memory; }

  private:
    uint8_t* at(unsigned reg, uint64_t byte) const { return registers_ + size_t{reg} * register_bytes_ + byte; }
    Group checked(int first, int step) {
        Group group = group_at(first, step);
        check(group);
        return group;
    }
    // "A destination vector register group can overlap a source vector register group only if ..."
    bool allowed_overlap(const Group& source) const {
        if (destination_.width == source.width || !destination_.overlaps(source)) return true;
        if (destination_.width < source.width) return destination_.first == source.first;
        return source.group >= 0 && source.first + source.size() == destination_.first + destination_.size();
    }

    VectorUnit& unit_;
    const VectorOperands& o_;
    VectorState& vector_;
    uint8_t* registers_;
    unsigned register_bytes_;
    bool legal_ = false;
    bool free_destination_ = false;
    std::array<Group, 4> read_{};  // the mask, two sources, and a destination that is read too
    unsigned reads_ = 0;
    int width_ = 0;
    int group_ = 0;
    uint64_t length_ = 0;
    Group destination_{-1, kByteWidth, kSmallestGroup};  // no register
};

// A function of the table over a driver: VECTOR_OPERATION(vadd, binary, [](auto a, auto b) { return a + b; })
#define VECTOR_OPERATION(name, driver, ...)                        \
    VectorResult name(VectorUnit& unit, const VectorOperands& o) { \
        return driver(unit, o, __VA_ARGS__);                       \
    }

}  // namespace doppel::isa::riscv::vector
