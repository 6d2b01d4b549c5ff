#include "translate/x86/emitter.h"

namespace doppel::translate::x86 {

using asmjit::imm;
namespace x86 = asmjit::x86;

namespace {

x86::Gp sized(int number, Type type) {
    return type == Type::kI64 ? gpq(number) : gpd(number);
}
uint32_t bytes_of(Type type) {
    return type == Type::kI64 ? 8 : 4;
}

}  // namespace

bool Emitter::emit_integer(ValueId id, const Node& at) {
    switch (at.operation) {
        case Operation::kAdd:
        case Operation::kSub:
        case Operation::kMul:
        case Operation::kAnd:
        case Operation::kOr:
        case Operation::kXor:
        case Operation::kNot:
            emit_arithmetic(id, at);
            return true;
        case Operation::kShl:
        case Operation::kShr:
        case Operation::kSar:
        case Operation::kRotl:
        case Operation::kRotr:
            emit_shift(id, at);
            return true;
        case Operation::kEq:
        case Operation::kNe:
        case Operation::kUlt:
        case Operation::kSlt: {
            Condition condition = emit_comparison(id);
            int to = result(id);
            a_.set(condition, x86::gpb_lo(static_cast<uint32_t>(to)));
            a_.movzx(gpd(to), x86::gpb_lo(static_cast<uint32_t>(to)));
            return true;
        }
        case Operation::kSelect:
            emit_select(id, at);
            return true;
        case Operation::kCountLeadingZeros:
        case Operation::kCountTrailingZeros:
        case Operation::kCountOnes:
        case Operation::kByteReverse:
            emit_count(id, at);
            return true;
        case Operation::kMulHighUnsigned:
        case Operation::kMulHighSigned:
        case Operation::kMulHighSignedUnsigned:
            emit_multiply_high(id, at);
            return true;
        case Operation::kUdiv:
        case Operation::kUrem:
        case Operation::kSdiv:
        case Operation::kSrem:
            emit_divide(id, at);
            return true;
        case Operation::kZext:
        case Operation::kSext:
            emit_extension(id, at);
            return true;
        case Operation::kCall:
        case Operation::kCallFloat:
        case Operation::kSystem:
            emit_call(id, at);
            return true;
        default:
            return false;
    }
}

namespace {

asmjit::InstId two_operand(Operation operation) {
    switch (operation) {
        case Operation::kAdd:
            return x86::Inst::kIdAdd;
        case Operation::kSub:
            return x86::Inst::kIdSub;
        case Operation::kMul:
            return x86::Inst::kIdImul;
        case Operation::kAnd:
            return x86::Inst::kIdAnd;
        case Operation::kOr:
            return x86::Inst::kIdOr;
        default:
            return x86::Inst::kIdXor;
    }
}

}  // namespace

void Emitter::emit_arithmetic(ValueId id, const Node& at) {
    Type type = at.type == Type::kI64 ? Type::kI64 : Type::kI32;
    int a = gpr(at.a);
    if (at.operation == Operation::kNot) {
        release(at.a);
        int to = result(id, a);
        if (to != a) a_.mov(sized(to, type), sized(a, type));
        if (at.type == Type::kI1) {
            a_.xor_(gpd(to), imm(1));
        } else {
            a_.not_(sized(to, type));
        }
        return;
    }
    int64_t constant = 0;
    if (small_constant(at.b, type, constant)) {
        release(at.a);
        release(at.b);
        int to = result(id, a);
        if (at.operation == Operation::kMul) {
            a_.imul(sized(to, type), sized(a, type), imm(constant));
        } else if (at.operation == Operation::kAnd && (constant == 0xff || constant == 0xffff)) {
            uint32_t from = static_cast<uint32_t>(a);
            constant == 0xff ? a_.movzx(gpd(to), x86::gpb_lo(from)) : a_.movzx(gpd(to), x86::gpw(from));
        } else if (at.operation == Operation::kAdd && to != a) {
            a_.lea(sized(to, type), x86::ptr(gpq(a), static_cast<int32_t>(constant)));
        } else {
            if (to != a) a_.mov(sized(to, type), sized(a, type));
            a_.emit(two_operand(at.operation), sized(to, type), imm(constant));
        }
        return;
    }
    bool low_half = at.operation == Operation::kAnd && is_constant(at.b) && node(root(at.b)).imm == 0xffff'ffff;
    if (low_half) {
        release(at.a);
        release(at.b);
        int to = result(id, a);
        a_.mov(gpd(to), gpd(a));
        return;
    }
    Mem memory;
    if (place(at.b).uses == 1 && in_memory(at.b, memory, bytes_of(type))) {
        release(at.a);
        // The operand is where it is until the result, which may be its home, is written.
        int to = result(id, a);
        if (to != a) a_.mov(sized(to, type), sized(a, type));
        a_.emit(two_operand(at.operation), sized(to, type), memory);
        release(at.b);
        return;
    }
    int b = gpr(at.b);
    release(at.a);
    release(at.b);
    int to = result(id, a);
    if (to == b && to != a) {
        if (at.operation == Operation::kSub) {
            a_.neg(sized(to, type));
            a_.add(sized(to, type), sized(a, type));
        } else {
            a_.emit(two_operand(at.operation), sized(to, type), sized(a, type));
        }
    } else if (to != a && at.operation == Operation::kAdd) {
        a_.lea(sized(to, type), x86::ptr(gpq(a), gpq(b)));
    } else {
        if (to != a) a_.mov(sized(to, type), sized(a, type));
        a_.emit(two_operand(at.operation), sized(to, type), sized(b, type));
    }
}

void Emitter::emit_shift(ValueId id, const Node& at) {
    if (!is_constant(at.b)) return emit_shift_by_register(id, at);
    unsigned by = static_cast<unsigned>(node(root(at.b)).imm) & (width(at.type) - 1);
    int a = gpr(at.a);
    release(at.a);
    release(at.b);
    int to = result(id, a);
    x86::Gp from = sized(a, at.type), into = sized(to, at.type);
    bool rotates = at.operation == Operation::kRotl || at.operation == Operation::kRotr;
    if (rotates && host_.bmi2 && to != a) {
        unsigned right = at.operation == Operation::kRotr ? by : width(at.type) - by;
        a_.rorx(into, from, imm(right & (width(at.type) - 1)));
        return;
    }
    if (to != a) a_.mov(into, from);
    switch (at.operation) {
        case Operation::kShl:
            a_.shl(into, imm(by));
            break;
        case Operation::kShr:
            a_.shr(into, imm(by));
            break;
        case Operation::kSar:
            a_.sar(into, imm(by));
            break;
        case Operation::kRotl:
            a_.rol(into, imm(by));
            break;
        default:
            a_.ror(into, imm(by));
    }
}

void Emitter::emit_shift_by_register(ValueId id, const Node& at) {
    bool rotates = at.operation == Operation::kRotl || at.operation == Operation::kRotr;
    if (host_.bmi2 && !rotates) {
        int a = gpr(at.a), b = gpr(at.b);
        release(at.a);
        release(at.b);
        int to = result(id, a);
        x86::Gp into = sized(to, at.type), from = sized(a, at.type), by = sized(b, at.type);
        if (at.operation == Operation::kShl) a_.shlx(into, from, by);
        if (at.operation == Operation::kShr) a_.shrx(into, from, by);
        if (at.operation == Operation::kSar) a_.sarx(into, from, by);
        return;
    }
    take(reg::kRcx);
    int a = gpr(at.a), b = gpr(at.b);
    a_.mov(gpd(reg::kRcx), gpd(b));
    int work = temporary();
    x86::Gp value = sized(work, at.type);
    a_.mov(value, sized(a, at.type));
    switch (at.operation) {
        case Operation::kShl:
            a_.shl(value, x86::cl);
            break;
        case Operation::kShr:
            a_.shr(value, x86::cl);
            break;
        case Operation::kSar:
            a_.sar(value, x86::cl);
            break;
        case Operation::kRotl:
            a_.rol(value, x86::cl);
            break;
        default:
            a_.ror(value, x86::cl);
    }
    release(at.a);
    release(at.b);
    int to = result(id, work);
    if (to != work) a_.mov(sized(to, at.type), value);
}

void Emitter::emit_count(ValueId id, const Node& at) {
    int a = gpr(at.a);
    release(at.a);
    int to = result(id, a);
    x86::Gp from = sized(a, at.type), into = sized(to, at.type);
    unsigned bits = width(at.type);
    if (at.operation == Operation::kByteReverse) {
        if (to != a) a_.mov(into, from);
        a_.bswap(into);
    } else if (at.operation == Operation::kCountOnes) {
        a_.popcnt(into, from);
    } else if (at.operation == Operation::kCountLeadingZeros && host_.lzcnt) {
        a_.lzcnt(into, from);
    } else if (at.operation == Operation::kCountTrailingZeros && host_.tzcnt) {
        a_.tzcnt(into, from);
    } else {
        bool leading = at.operation == Operation::kCountLeadingZeros;
        x86::Gp none = sized(temporary(), at.type);
        a_.mov(none, imm(leading ? 2 * bits - 1 : bits));
        if (leading) {
            a_.bsr(into, from);
        } else {
            a_.bsf(into, from);
        }
        a_.cmovz(into, none);
        if (leading) a_.xor_(into, imm(bits - 1));
    }
}

void Emitter::emit_extension(ValueId id, const Node& at) {
    Type from_type = node(at.a).type;
    bool sign = at.operation == Operation::kSext;
    Mem memory;
    if (place(at.a).uses == 1 && in_memory(at.a, memory, width(from_type) / 8)) {
        int to = result(id);
        if (from_type == Type::kI32) {
            sign ? a_.movsxd(gpq(to), memory) : a_.mov(gpd(to), memory);
        } else {
            sign ? a_.movsx(sized(to, at.type), memory) : a_.movzx(gpd(to), memory);
        }
        return release(at.a);
    }
    int a = gpr(at.a);
    release(at.a);
    int to = result(id, a);
    auto number = static_cast<uint32_t>(a);
    switch (from_type) {
        case Type::kI32:
            sign ? a_.movsxd(gpq(to), gpd(a)) : a_.mov(gpd(to), gpd(a));
            return;
        case Type::kI16:
            sign ? a_.movsx(sized(to, at.type), x86::gpw(number)) : a_.movzx(gpd(to), x86::gpw(number));
            return;
        case Type::kI8:
            sign ? a_.movsx(sized(to, at.type), x86::gpb_lo(number)) : a_.movzx(gpd(to), x86::gpb_lo(number));
            return;
        default:
            if (to != a) a_.mov(gpd(to), gpd(a));
    }
}

void Emitter::emit_multiply_high(ValueId id, const Node& at) {
    take(reg::kRax);
    take(reg::kRdx);
    int a = gpr(at.a), b = gpr(at.b);
    a_.mov(sized(reg::kRax, at.type), sized(a, at.type));
    if (at.operation == Operation::kMulHighSigned) {
        a_.imul(sized(b, at.type));
    } else {
        a_.mul(sized(b, at.type));
    }
    if (at.operation == Operation::kMulHighSignedUnsigned) {
        // A negative `a` counts as 2^64 too much, so the product holds `b` too much in its upper half.
        a_.mov(gpq(reg::kRax), gpq(a));
        a_.sar(gpq(reg::kRax), imm(63));
        a_.and_(gpq(reg::kRax), gpq(b));
        a_.sub(gpq(reg::kRdx), gpq(reg::kRax));
    }
    release(at.a);
    release(at.b);
    int to = result(id, reg::kRdx);
    if (to != reg::kRdx) a_.mov(gpq(to), gpq(reg::kRdx));
}

// The host's division traps where the guest's is defined.
void Emitter::emit_divide(ValueId id, const Node& at) {
    bool sign = at.operation == Operation::kSdiv || at.operation == Operation::kSrem;
    bool remainder = at.operation == Operation::kUrem || at.operation == Operation::kSrem;
    take(reg::kRax);
    take(reg::kRdx);
    int a = gpr(at.a), b = gpr(at.b);
    x86::Gp low = sized(reg::kRax, at.type), high = sized(reg::kRdx, at.type), divisor = sized(b, at.type);
    Label zero = a_.newLabel(), minus_one = a_.newLabel(), done = a_.newLabel();
    a_.mov(low, sized(a, at.type));
    a_.test(divisor, divisor);
    a_.jz(zero);
    if (sign) {
        a_.cmp(divisor, imm(-1));
        a_.je(minus_one);
        at.type == Type::kI64 ? a_.cqo() : a_.cdq();
        a_.idiv(divisor);
    } else {
        a_.xor_(gpd(reg::kRdx), gpd(reg::kRdx));
        a_.div(divisor);
    }
    a_.bind(done);
    cold([=, this] {
        a_.bind(zero);
        a_.mov(high, low);
        a_.mov(low, imm(-1));
        a_.jmp(done);
        if (!sign) return;
        a_.bind(minus_one);
        a_.neg(low);
        a_.xor_(gpd(reg::kRdx), gpd(reg::kRdx));
        a_.jmp(done);
    });
    release(at.a);
    release(at.b);
    int from = remainder ? reg::kRdx : reg::kRax;
    int to = result(id, from);
    if (to != from) a_.mov(sized(to, at.type), sized(from, at.type));
}

Emitter::Condition Emitter::emit_comparison(ValueId id) {
    const Node& at = node(id);
    Type type = node(at.a).type;
    int a = gpr(at.a);
    int64_t constant = 0;
    Mem memory;
    if (small_constant(at.b, type, constant)) {
        if (constant == 0) {
            a_.test(sized(a, type), sized(a, type));
        } else {
            a_.cmp(sized(a, type), imm(constant));
        }
    } else if (in_memory(at.b, memory, bytes_of(type))) {
        a_.cmp(sized(a, type), memory);
    } else {
        a_.cmp(sized(a, type), sized(gpr(at.b), type));
    }
    release(at.a);
    release(at.b);
    switch (at.operation) {
        case Operation::kEq:
            return Condition::kE;
        case Operation::kNe:
            return Condition::kNE;
        case Operation::kUlt:
            return Condition::kB;
        default:
            return Condition::kL;
    }
}

void Emitter::emit_select(ValueId id, const Node& at) {
    int b = gpr(at.b), c = gpr(at.c);
    ValueId condition_id = root(at.a);
    bool deferred = places_[condition_id].deferred;
    if (!deferred) gpr(at.a);
    release(at.b);
    release(at.c);
    Condition condition = Condition::kNE;
    if (deferred) {
        condition = emit_comparison(condition_id);
    } else {
        int bit_value = gpr(at.a);
        a_.test(gpd(bit_value), gpd(bit_value));
        release(at.a);
    }
    // No instruction from here on changes the flags.
    int to = result(id, c);
    x86::Gp into = sized(to, at.type), yes = sized(b, at.type), no = sized(c, at.type);
    if (to == b && to != c) {
        a_.cmov(x86::negateCond(condition), into, no);
    } else {
        if (to != c) a_.mov(into, no);
        a_.cmov(condition, into, yes);
    }
}

void Emitter::emit_call(ValueId id, const Node& at) {
    size_t index = 0;
    for (ValueId operand : {at.a, at.b, at.c}) {
        if (operand == 0) break;
        int from = gpr(operand);
        a_.mov(native(offsetof(NativeState, arguments) + 8 * index), gpq(from));
        unlock(from);
        release(operand);
        index++;
    }
    a_.mov(native(offsetof(NativeState, helper)), imm(static_cast<int32_t>(at.imm)));
    bool floating = at.operation == Operation::kCallFloat;
    if (floating) a_.mov(native(offsetof(NativeState, arguments) + 24), imm(at.extra));
    bool system = at.operation == Operation::kSystem;
    if (system) {
        a_.mov(native(offsetof(NativeState, position), 4), imm(position()));
        a_.mov(native(offsetof(NativeState, budget)), gpq(reg::kBudget));
    }
    const bool plain = system && at.extra != 0 && !floats_live();
    a_.call(native(plain ? offsetof(NativeState, call) : offsetof(NativeState, call_float)));
    if (system) {
        a_.cmp(native(offsetof(NativeState, refused), 4), imm(0));
        interpret_if(Condition::kNE);
    }
    int to = result(id);
    a_.mov(gpq(to), native(offsetof(NativeState, result)));
}

}  // namespace doppel::translate::x86
