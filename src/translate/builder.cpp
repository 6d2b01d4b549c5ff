#include "translate/builder.h"

#include <utility>

namespace doppel::translate {

namespace {

bool commutes(Operation operation) {
    switch (operation) {
        case Operation::kAdd:
        case Operation::kMul:
        case Operation::kAnd:
        case Operation::kOr:
        case Operation::kXor:
        case Operation::kEq:
        case Operation::kNe:
            return true;
        default:
            return false;
    }
}

}  // namespace

ValueId Builder::add(const Node& node) {
    Node complete = node;
    complete.guest = static_cast<uint8_t>(block_.offsets.size() - 1);
    block_.nodes.push_back(complete);
    return static_cast<ValueId>(block_.nodes.size() - 1);
}

ValueId Builder::emit(Operation operation, Type type, ValueId a, ValueId b, ValueId c) {
    return add({.operation = operation, .type = type, .a = a, .b = b, .c = c});
}

ValueId Builder::constant(Type type, uint64_t value) {
    return add({.operation = Operation::kConstant, .type = type, .imm = value & mask_of(type)});
}

ValueId Builder::page_plus(uint64_t offset) {
    return add({.operation = Operation::kPagePlus, .type = Type::kI64, .imm = offset});
}

ValueId Builder::unary(Operation operation, Type type, ValueId a) {
    if (is_constant(a) && foldable(operation)) {
        return constant(type, fold(operation, type_of(a), type, constant_of(a), 0));
    }
    switch (operation) {
        case Operation::kNot:
            if (is(a, Operation::kNot)) return node(a).a;
            break;
        case Operation::kTrunc:
            if (is(a, Operation::kZext) || is(a, Operation::kSext) || is(a, Operation::kTrunc)) {
                ValueId inner = node(a).a;
                if (type_of(inner) == type) return inner;
                if (width(type_of(inner)) > width(type)) return unary(Operation::kTrunc, type, inner);
            }
            break;
        case Operation::kZext:
        case Operation::kSext:
            if (type_of(a) == type) return a;
            if (is(a, Operation::kLoad)) return extend_load(operation, type, a);
            break;
        case Operation::kBox:
            // Unboxing before is only undone when the value was boxed, so that pair stays.
            break;
        case Operation::kUnbox:
            if (is(a, Operation::kBox)) return node(a).a;
            break;
        default:
            break;
    }
    return emit(operation, type, a);
}

// A load nobody has used yet extends by itself.
ValueId Builder::extend_load(Operation operation, Type type, ValueId load) {
    if (load + 1u != block_.nodes.size()) return emit(operation, type, load);
    Node& node = block_.nodes[load];
    node.operation = operation == Operation::kSext ? Operation::kLoadSigned : Operation::kLoadZero;
    node.type = type;
    return load;
}

ValueId Builder::binary(Operation operation, Type type, ValueId a, ValueId b) {
    if (is_constant(a) && is_constant(b)) {
        return constant(type, fold(operation, type_of(a), type, constant_of(a), constant_of(b)));
    }
    if (is_constant(a) && commutes(operation)) std::swap(a, b);
    if (ValueId narrower = narrow(operation, type, a, b)) return narrower;
    if (ValueId simpler = simplify(operation, type, a, b)) return simpler;
    return emit(operation, type, a, b);
}

// Bit operations on sign-extended words are done on the words, and their result is extended.
ValueId Builder::narrow(Operation operation, Type type, ValueId a, ValueId b) {
    bool bitwise = operation == Operation::kAnd || operation == Operation::kOr || operation == Operation::kXor;
    auto word_of = [&](ValueId id) -> ValueId {
        if (is(id, Operation::kSext) && type_of(node(id).a) == Type::kI32) return node(id).a;
        return 0;
    };
    ValueId left = bitwise && type == Type::kI64 ? word_of(a) : ValueId{0};
    if (left == 0) return 0;
    ValueId right = word_of(b);
    if (right == 0 && is_constant(b)) {
        auto value = static_cast<int64_t>(constant_of(b));
        if (value == static_cast<int32_t>(value)) right = constant(Type::kI32, constant_of(b));
    }
    if (right == 0) return 0;
    return unary(Operation::kSext, type, binary(operation, Type::kI32, left, right));
}

// 0: nothing simpler is known.
ValueId Builder::simplify(Operation operation, Type type, ValueId a, ValueId b) {
    switch (operation) {
        case Operation::kAdd:
            if (is_constant(b, 0)) return a;
            if (is_constant(b) && is(a, Operation::kAdd) && is_constant(node(a).b)) {
                uint64_t sum = constant_of(node(a).b) + constant_of(b);
                return binary(operation, type, node(a).a, constant(type, sum));
            }
            if (is_constant(b) && is(a, Operation::kPagePlus)) return page_plus(node(a).imm + constant_of(b));
            return 0;
        case Operation::kSub:
            if (is_constant(b)) return binary(Operation::kAdd, type, a, constant(type, 0 - constant_of(b)));
            return 0;
        case Operation::kShl:
        case Operation::kSar:
        case Operation::kRotl:
        case Operation::kRotr:
            return is_constant(b, 0) ? a : 0;
        case Operation::kShr: {
            if (is_constant(b, 0)) return a;
            // Shifted up and down again by the same: the lower half.
            constexpr uint64_t kHalf = 32;
            bool half = type == Type::kI64 && is_constant(b, kHalf) && is(a, Operation::kShl);
            if (half && is_constant(node(a).b, kHalf)) {
                return unary(Operation::kZext, type, unary(Operation::kTrunc, Type::kI32, node(a).a));
            }
            return 0;
        }
        default:
            return simplify_bits(operation, type, a, b);
    }
}

ValueId Builder::simplify_bits(Operation operation, Type type, ValueId a, ValueId b) {
    switch (operation) {
        case Operation::kAnd:
            if (a == b || is_constant(b, mask_of(type))) return a;
            // Pages are aligned.
            if (is(a, Operation::kPagePlus) && is_constant(b, ~uint64_t{1}))
                return page_plus(node(a).imm & ~uint64_t{1});
            return is_constant(b, 0) ? b : 0;
        case Operation::kOr:
            if (a == b || is_constant(b, 0)) return a;
            if (ValueId rotated = merge_shifts(type, a, b)) return rotated;
            return merge_signs(type, a, b);
        case Operation::kXor:
            if (a == b) return constant(type, 0);
            if (is_constant(b, 0)) return a;
            return is_constant(b, mask_of(type)) ? unary(Operation::kNot, type, a) : 0;
        case Operation::kMul:
            if (is_constant(b, 1)) return a;
            return is_constant(b, 0) ? b : 0;
        case Operation::kEq:
            return a == b ? constant(type, 1) : 0;
        case Operation::kNe:
        case Operation::kUlt:
        case Operation::kSlt:
            return a == b ? constant(type, 0) : 0;
        default:
            return 0;
    }
}

// x << n | x >> (width - n), as code for harts without rotations writes them.
ValueId Builder::merge_shifts(Type type, ValueId a, ValueId b) {
    if (is(a, Operation::kShr)) std::swap(a, b);
    if (!is(a, Operation::kShl) || !is(b, Operation::kShr)) return 0;
    if (!is_constant(node(a).b) || !is_constant(node(b).b) || !same_value(node(a).a, node(b).a)) return 0;
    uint64_t left = constant_of(node(a).b) % width(type), right = constant_of(node(b).b) % width(type);
    if (left + right != width(type)) return 0;
    return emit(Operation::kRotl, type, node(a).a, node(a).b);
}

bool Builder::same_value(ValueId a, ValueId b) const {
    if (a == b) return true;
    return is(a, Operation::kTrunc) && is(b, Operation::kTrunc) && node(a).a == node(b).a;
}

// (x & ~m) | (y & m), as sign injection writes it, for the y that make a move, a negation or an absolute value of it.
ValueId Builder::merge_signs(Type type, ValueId a, ValueId b) {
    if (!is(a, Operation::kAnd) || !is_constant(node(a).b)) return 0;
    if (is_constant(b, 0)) return a;
    if (!is(b, Operation::kAnd) || !is_constant(node(b).b)) return 0;
    ValueId x = node(a).a, y = node(b).a;
    uint64_t mask = constant_of(node(b).b);
    if (constant_of(node(a).b) != (~mask & mask_of(type))) return 0;
    if (x == y) return x;
    if (is(y, Operation::kNot) && node(y).a == x) return binary(Operation::kXor, type, x, node(b).b);
    return 0;
}

ValueId Builder::select(ValueId condition, ValueId a, ValueId b) {
    if (is_constant(condition)) return constant_of(condition) != 0 ? a : b;
    if (a == b) return a;
    return emit(Operation::kSelect, type_of(a), condition, a, b);
}

ValueId Builder::get_integer(unsigned number) {
    if (number == 0) return constant(Type::kI64, 0);
    if (integers_[number] == 0) {
        integers_[number] = add({.operation = Operation::kGetInteger, .type = Type::kI64, .imm = number});
    }
    return integers_[number];
}

void Builder::set_integer(unsigned number, ValueId value) {
    if (number == 0 || integers_[number] == value) return;
    add({.operation = Operation::kSetInteger, .a = value, .imm = number});
    integers_[number] = value;
}

ValueId Builder::get_float(unsigned number) {
    if (floats_[number] == 0) {
        floats_[number] = add({.operation = Operation::kGetFloat, .type = Type::kI64, .imm = number});
    }
    return floats_[number];
}

void Builder::note_float_write() {
    if (!std::exchange(block_.writes_float, true)) add({.operation = Operation::kFloatDirty});
}

void Builder::set_float(unsigned number, ValueId value) {
    note_float_write();
    if (floats_[number] == value) return;
    add({.operation = Operation::kSetFloat, .a = value, .imm = number});
    floats_[number] = value;
}

void Builder::split_address(Node& access) {
    constexpr int64_t kLimit = int64_t{1} << 20;  // what a displacement of the host takes with room to spare
    const Node& address = node(access.a);
    if (address.operation != Operation::kAdd || !is_constant(address.b)) return;
    auto offset = static_cast<int64_t>(constant_of(address.b));
    if (offset <= -kLimit || offset >= kLimit) return;
    access.imm = static_cast<uint64_t>(offset);
    access.a = address.a;
}

ValueId Builder::load(unsigned bits, ValueId address) {
    Node node{.operation = Operation::kLoad, .type = static_cast<Type>(bits), .extra = static_cast<uint8_t>(bits)};
    node.a = address;
    split_address(node);
    return add(node);
}

void Builder::store(unsigned bits, ValueId address, ValueId value) {
    Node node{.operation = Operation::kStore, .extra = static_cast<uint8_t>(bits), .a = address, .b = value};
    split_address(node);
    add(node);
}

ValueId Builder::access(Operation operation, Type type, ValueId address, ValueId operand) {
    Node node{.operation = operation, .type = type, .a = address, .b = operand};
    node.extra = static_cast<uint8_t>(operand != 0 ? width(type_of(operand)) : width(type));
    return add(node);
}

}  // namespace doppel::translate
