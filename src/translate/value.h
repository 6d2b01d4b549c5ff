// Value<N>: a value of N bits that is being recorded, with the operations of isa::Concrete<N>, so that instruction
// definitions are evaluated over it unchanged.
#pragma once

#include "translate/builder.h"

namespace doppel::translate {

template <unsigned N>
struct Value {
    static constexpr Type kType = static_cast<Type>(N);
    Builder* builder = nullptr;
    ValueId id = 0;

    Value unary(Operation operation) const { return {builder, builder->unary(operation, kType, id)}; }
    Value binary(Operation operation, Value b) const { return {builder, builder->binary(operation, kType, id, b.id)}; }
    Value<1> compare(Operation operation, Value b) const {
        return {builder, builder->binary(operation, Type::kI1, id, b.id)};
    }

    friend Value operator+(Value a, Value b) { return a.binary(Operation::kAdd, b); }
    friend Value operator-(Value a, Value b) { return a.binary(Operation::kSub, b); }
    friend Value operator*(Value a, Value b) { return a.binary(Operation::kMul, b); }
    friend Value operator&(Value a, Value b) { return a.binary(Operation::kAnd, b); }
    friend Value operator|(Value a, Value b) { return a.binary(Operation::kOr, b); }
    friend Value operator^(Value a, Value b) { return a.binary(Operation::kXor, b); }
    friend Value operator~(Value a) { return a.unary(Operation::kNot); }
    friend Value shl(Value a, Value by) { return a.binary(Operation::kShl, by); }
    friend Value shr(Value a, Value by) { return a.binary(Operation::kShr, by); }
    friend Value sar(Value a, Value by) { return a.binary(Operation::kSar, by); }
    friend Value rotl(Value a, Value by) { return a.binary(Operation::kRotl, by); }
    friend Value rotr(Value a, Value by) { return a.binary(Operation::kRotr, by); }

    friend Value<1> eq(Value a, Value b) { return a.compare(Operation::kEq, b); }
    friend Value<1> ne(Value a, Value b) { return a.compare(Operation::kNe, b); }
    friend Value<1> ult(Value a, Value b) { return a.compare(Operation::kUlt, b); }
    friend Value<1> slt(Value a, Value b) { return a.compare(Operation::kSlt, b); }
    friend Value select(Value<1> condition, Value a, Value b) {
        return {a.builder, a.builder->select(condition.id, a.id, b.id)};
    }

    friend Value count_leading_zeros(Value a) { return a.unary(Operation::kCountLeadingZeros); }
    friend Value count_trailing_zeros(Value a) { return a.unary(Operation::kCountTrailingZeros); }
    friend Value count_ones(Value a) { return a.unary(Operation::kCountOnes); }
    friend Value byte_reverse(Value a) { return a.unary(Operation::kByteReverse); }
    friend Value mul_high_unsigned(Value a, Value b) { return a.binary(Operation::kMulHighUnsigned, b); }
    friend Value mul_high_signed(Value a, Value b) { return a.binary(Operation::kMulHighSigned, b); }
    friend Value mul_high_signed_unsigned(Value a, Value b) { return a.binary(Operation::kMulHighSignedUnsigned, b); }
    friend Value udiv(Value a, Value b) { return a.binary(Operation::kUdiv, b); }
    friend Value urem(Value a, Value b) { return a.binary(Operation::kUrem, b); }
    friend Value sdiv(Value a, Value b) { return a.binary(Operation::kSdiv, b); }
    friend Value srem(Value a, Value b) { return a.binary(Operation::kSrem, b); }
};

template <unsigned M, unsigned N>
Value<M> trunc(Value<N> a) {
    static_assert(M < N);
    return {a.builder, a.builder->unary(Operation::kTrunc, Value<M>::kType, a.id)};
}
template <unsigned M, unsigned N>
Value<M> zext(Value<N> a) {
    static_assert(M >= N);
    return {a.builder, a.builder->unary(Operation::kZext, Value<M>::kType, a.id)};
}
template <unsigned M, unsigned N>
Value<M> sext(Value<N> a) {
    static_assert(M >= N && N > 1);
    return {a.builder, a.builder->unary(Operation::kSext, Value<M>::kType, a.id)};
}

}  // namespace doppel::translate
