// Operations on constants: the meaning is isa::Concrete's, which interprets.
#include "isa/concrete.h"
#include "translate/builder.h"

namespace doppel::translate {

using isa::Concrete;

bool foldable(Operation operation) {
    return operation >= Operation::kAdd && operation <= Operation::kSext && operation != Operation::kSelect;
}

namespace {

template <unsigned N>
uint64_t fold_width(Operation operation, uint64_t left, uint64_t right) {
    using W = Concrete<N>;
    W a(static_cast<typename W::U>(left)), b(static_cast<typename W::U>(right));
    switch (operation) {
        case Operation::kAdd:
            return (a + b).bits;
        case Operation::kSub:
            return (a - b).bits;
        case Operation::kMul:
            return (a * b).bits;
        case Operation::kAnd:
            return (a & b).bits;
        case Operation::kOr:
            return (a | b).bits;
        case Operation::kXor:
            return (a ^ b).bits;
        case Operation::kNot:
            return (~a).bits;
        case Operation::kShl:
            return shl(a, b).bits;
        case Operation::kShr:
            return shr(a, b).bits;
        case Operation::kSar:
            return sar(a, b).bits;
        case Operation::kRotl:
            return rotl(a, b).bits;
        case Operation::kRotr:
            return rotr(a, b).bits;
        case Operation::kEq:
            return eq(a, b).bits;
        case Operation::kNe:
            return ne(a, b).bits;
        case Operation::kUlt:
            return ult(a, b).bits;
        case Operation::kSlt:
            return slt(a, b).bits;
        case Operation::kCountLeadingZeros:
            return count_leading_zeros(a).bits;
        case Operation::kCountTrailingZeros:
            return count_trailing_zeros(a).bits;
        case Operation::kCountOnes:
            return count_ones(a).bits;
        case Operation::kByteReverse:
            return byte_reverse(a).bits;
        case Operation::kMulHighUnsigned:
            return mul_high_unsigned(a, b).bits;
        case Operation::kMulHighSigned:
            return mul_high_signed(a, b).bits;
        case Operation::kMulHighSignedUnsigned:
            return mul_high_signed_unsigned(a, b).bits;
        case Operation::kUdiv:
            return udiv(a, b).bits;
        case Operation::kUrem:
            return urem(a, b).bits;
        case Operation::kSdiv:
            return sdiv(a, b).bits;
        case Operation::kSrem:
            return srem(a, b).bits;
        case Operation::kSext:
            return static_cast<uint64_t>(static_cast<int64_t>(a.as_signed()));
        default:  // Trunc, Zext: the result's mask does it
            return a.bits;
    }
}

uint64_t fold_bit(Operation operation, bool a, bool b) {
    switch (operation) {
        case Operation::kAnd:
            return a && b;
        case Operation::kOr:
            return a || b;
        case Operation::kXor:
        case Operation::kNe:
            return a != b;
        case Operation::kEq:
            return a == b;
        case Operation::kNot:
            return !a;
        default:
            return a;
    }
}

}  // namespace

uint64_t fold(Operation operation, Type operand_type, Type type, uint64_t a, uint64_t b) {
    uint64_t result = 0;
    switch (operand_type) {
        case Type::kI64:
            result = fold_width<64>(operation, a, b);
            break;
        case Type::kI32:
            result = fold_width<32>(operation, a, b);
            break;
        case Type::kI16:
            result = fold_width<16>(operation, a, b);
            break;
        case Type::kI8:
            result = fold_width<8>(operation, a, b);
            break;
        default:
            result = fold_bit(operation, a != 0, b != 0);
    }
    return result & mask_of(type);
}

}  // namespace doppel::translate
