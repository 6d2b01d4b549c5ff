// Floating point on SSE and FMA3. The control register keeps nearest-even rounding with all exceptions masked, and its
// sticky flags are the guest's until it asks. What differs from the guest's rules is caught behind the operation, in
// code off the usual path.
#include "translate/x86/emitter.h"

namespace doppel::translate::x86 {

using asmjit::imm;
namespace x86 = asmjit::x86;

bool Emitter::emit_float(ValueId id, const Node& at) {
    switch (at.operation) {
        case Operation::kFloatAdd:
        case Operation::kFloatSub:
        case Operation::kFloatMul:
        case Operation::kFloatDiv:
        case Operation::kFloatSqrt:
            emit_float_arithmetic(id, at);
            return true;
        case Operation::kFloatMadd:
        case Operation::kFloatMsub:
        case Operation::kFloatNmsub:
        case Operation::kFloatNmadd:
            emit_fused(id, at);
            return true;
        case Operation::kFloatMin:
        case Operation::kFloatMax:
            emit_min_max(id, at);
            return true;
        case Operation::kFloatEq:
        case Operation::kFloatLt:
        case Operation::kFloatLe:
            emit_float_compare(id, at);
            return true;
        case Operation::kFloatConvert:
        case Operation::kFloatToSigned:
        case Operation::kFloatFromSigned:
        case Operation::kFloatFromUnsigned:
            emit_float_conversion(id, at);
            return true;
        case Operation::kBox:
            emit_box(id, at);
            return true;
        case Operation::kUnbox:
            emit_unbox(id, at);
            return true;
        default:
            return false;
    }
}

// The host propagates a NaN operand; the guest's results are the canonical one.
void Emitter::make_nan_canonical(int number, Type type) {
    bool wide = type == Type::kI64;
    Label nan = a_.newLabel(), back = a_.newLabel();
    wide ? a_.ucomisd(xmm(number), xmm(number)) : a_.ucomiss(xmm(number), xmm(number));
    a_.jp(nan);
    a_.bind(back);
    cold([=, this] {
        a_.bind(nan);
        wide ? a_.movsd(xmm(number), native(offsetof(NativeState, nan64)))
             : a_.movss(xmm(number), native(offsetof(NativeState, nan32), 4));
        a_.jmp(back);
    });
}

// Leaves the present guest instruction, of which nothing is done yet, to the interpreter.
void Emitter::interpret_if(Condition condition) {
    Label out = a_.newLabel();
    a_.j(condition, out);
    cold([=, this, where = position()] {
        a_.bind(out);
        leave_by(&NativeState::exit_interpret, where);
    });
}

namespace {

asmjit::InstId scalar(Operation operation, bool wide) {
    switch (operation) {
        case Operation::kFloatAdd:
            return wide ? x86::Inst::kIdAddsd : x86::Inst::kIdAddss;
        case Operation::kFloatSub:
            return wide ? x86::Inst::kIdSubsd : x86::Inst::kIdSubss;
        case Operation::kFloatMul:
            return wide ? x86::Inst::kIdMulsd : x86::Inst::kIdMulss;
        case Operation::kFloatDiv:
            return wide ? x86::Inst::kIdDivsd : x86::Inst::kIdDivss;
        case Operation::kFloatMin:
            return wide ? x86::Inst::kIdMinsd : x86::Inst::kIdMinss;
        case Operation::kFloatMax:
            return wide ? x86::Inst::kIdMaxsd : x86::Inst::kIdMaxss;
        default:
            return wide ? x86::Inst::kIdSqrtsd : x86::Inst::kIdSqrtss;
    }
}

}  // namespace

void Emitter::emit_float_arithmetic(ValueId id, const Node& at) {
    bool wide = at.type == Type::kI64;
    asmjit::InstId instruction = scalar(at.operation, wide);
    if (at.operation == Operation::kFloatSqrt) {
        int a = xmm_of(at.a);
        release(at.a);
        int to = xmm_result(id, a);
        a_.emit(instruction, xmm(to), xmm(a));
        return make_nan_canonical(to, at.type);
    }
    int a = xmm_of(at.a);
    Mem memory;
    if (place(at.b).uses == 1 && in_memory(at.b, memory, wide ? 8 : 4)) {
        release(at.a);
        int to = xmm_result(id, a);
        if (to != a) a_.movaps(xmm(to), xmm(a));
        a_.emit(instruction, xmm(to), memory);
        release(at.b);
        return make_nan_canonical(to, at.type);
    }
    int b = xmm_of(at.b);
    release(at.a);
    release(at.b);
    int to = xmm_result(id, a);
    if (to == b && to != a) {
        bool commutes = at.operation == Operation::kFloatAdd || at.operation == Operation::kFloatMul;
        if (commutes) {
            b = a;
        } else {
            int copy = xmm_temporary();
            a_.movaps(xmm(copy), xmm(b));
            a_.movaps(xmm(to), xmm(a));
            b = copy;
        }
    } else if (to != a) {
        a_.movaps(xmm(to), xmm(a));
    }
    a_.emit(instruction, xmm(to), xmm(b));
    make_nan_canonical(to, at.type);
}

void Emitter::emit_fused(ValueId id, const Node& at) {
    if (!host_.fma) {
        failed_ = true;
        return;
    }
    bool wide = at.type == Type::kI64;
    int a = xmm_of(at.a), b = xmm_of(at.b), c = xmm_of(at.c);
    // Into a register of its own: the operands must still be there if the interpreter is needed.
    int to = xmm_temporary();
    a_.movaps(xmm(to), xmm(a));
    x86::Xmm product = xmm(to), factor = xmm(b), addend = xmm(c);
    switch (at.operation) {
        case Operation::kFloatMadd:
            wide ? a_.vfmadd213sd(product, factor, addend) : a_.vfmadd213ss(product, factor, addend);
            break;
        case Operation::kFloatMsub:
            wide ? a_.vfmsub213sd(product, factor, addend) : a_.vfmsub213ss(product, factor, addend);
            break;
        case Operation::kFloatNmsub:
            wide ? a_.vfnmadd213sd(product, factor, addend) : a_.vfnmadd213ss(product, factor, addend);
            break;
        default:
            wide ? a_.vfnmsub213sd(product, factor, addend) : a_.vfnmsub213ss(product, factor, addend);
    }
    // Infinity times zero is invalid even with a quiet NaN as addend, which the host does not see.
    wide ? a_.ucomisd(product, product) : a_.ucomiss(product, product);
    interpret_if(Condition::kP);
    release(at.a), release(at.b), release(at.c);
    int home = xmm_result(id, to);
    if (home != to) a_.movaps(xmm(home), product);
}

void Emitter::emit_min_max(ValueId id, const Node& at) {
    bool wide = at.type == Type::kI64;
    int a = xmm_of(at.a), b = xmm_of(at.b), to = xmm_temporary();
    Label equal = a_.newLabel(), done = a_.newLabel();
    a_.movaps(xmm(to), xmm(a));
    wide ? a_.ucomisd(xmm(a), xmm(b)) : a_.ucomiss(xmm(a), xmm(b));
    interpret_if(Condition::kP);  // NaNs
    a_.je(equal);
    a_.emit(scalar(at.operation, wide), xmm(to), xmm(b));
    a_.bind(done);
    bool least = at.operation == Operation::kFloatMin;
    cold([=, this] {
        // Equal numbers have equal bits, but for zeros, of which the negative one is less.
        a_.bind(equal);
        least ? a_.orps(xmm(to), xmm(b)) : a_.andps(xmm(to), xmm(b));
        a_.jmp(done);
    });
    release(at.a), release(at.b);
    int home = xmm_result(id, to);
    if (home != to) a_.movaps(xmm(home), xmm(to));
}

void Emitter::emit_float_compare(ValueId id, const Node& at) {
    bool wide = node(at.a).type == Type::kI64;
    int a = xmm_of(at.a), b = xmm_of(at.b);
    release(at.a), release(at.b);
    int to = result(id);
    auto low = x86::gpb_lo(static_cast<uint32_t>(to));
    if (at.operation == Operation::kFloatEq) {
        int ordered = temporary();
        auto ordered_low = x86::gpb_lo(static_cast<uint32_t>(ordered));
        wide ? a_.ucomisd(xmm(a), xmm(b)) : a_.ucomiss(xmm(a), xmm(b));
        a_.setnp(ordered_low);
        a_.sete(low);
        a_.and_(low, ordered_low);
    } else {
        // Unordered looks like `below`, so the operands are swapped.
        wide ? a_.comisd(xmm(b), xmm(a)) : a_.comiss(xmm(b), xmm(a));
        at.operation == Operation::kFloatLt ? a_.seta(low) : a_.setae(low);
    }
    a_.movzx(gpd(to), low);
}

void Emitter::emit_float_conversion(ValueId id, const Node& at) {
    bool wide = at.type == Type::kI64, from_wide = node(at.a).type == Type::kI64;
    if (at.operation == Operation::kFloatConvert) {
        int a = xmm_of(at.a);
        release(at.a);
        int to = xmm_result(id);
        wide ? a_.cvtss2sd(xmm(to), xmm(a)) : a_.cvtsd2ss(xmm(to), xmm(a));
        return make_nan_canonical(to, at.type);
    }
    if (at.operation == Operation::kFloatToSigned) {
        constexpr uint8_t kTowardZero = 1;
        int a = xmm_of(at.a);
        int to = temporary();
        x86::Gp into = wide ? gpq(to) : gpd(to);
        if (at.extra == kTowardZero) {
            from_wide ? a_.cvttsd2si(into, xmm(a)) : a_.cvttss2si(into, xmm(a));
        } else {
            from_wide ? a_.cvtsd2si(into, xmm(a)) : a_.cvtss2si(into, xmm(a));
        }
        // What does not fit gives the most negative number, the one from which 1 overflows.
        a_.cmp(into, imm(1));
        interpret_if(Condition::kO);
        release(at.a);
        int home = result(id, to);
        if (home != to) a_.mov(gpq(home), gpq(to));
        return;
    }
    int a = gpr(at.a);
    bool full = from_wide || at.operation == Operation::kFloatFromUnsigned;
    if (full && !from_wide) {
        int extended = temporary();
        a_.mov(gpd(extended), gpd(a));
        a = extended;
    }
    release(at.a);
    int to = xmm_result(id);
    a_.xorps(xmm(to), xmm(to));
    x86::Gp from = full ? gpq(a) : gpd(a);
    wide ? a_.cvtsi2sd(xmm(to), from) : a_.cvtsi2ss(xmm(to), from);
}

void Emitter::emit_box(ValueId id, const Node& at) {
    int a = xmm_of(at.a);
    release(at.a);
    int to = xmm_result(id, a);
    if (to != a) a_.movaps(xmm(to), xmm(a));
    a_.orps(xmm(to), native(offsetof(NativeState, box), 16));
}

void Emitter::emit_unbox(ValueId id, const Node& at) {
    Label bad = a_.newLabel(), back = a_.newLabel();
    Mem memory;
    int to = -1;
    if (in_memory(at.a, memory, 4)) {
        Mem upper = memory;
        upper.addOffset(4);
        to = xmm_temporary();
        a_.cmp(upper, imm(-1));
        a_.jne(bad);
        a_.movss(xmm(to), memory);
    } else {
        int bits = gpr(at.a), high = temporary();
        to = xmm_temporary();
        a_.mov(gpq(high), gpq(bits));
        a_.shr(gpq(high), imm(32));
        a_.cmp(gpd(high), imm(-1));
        a_.jne(bad);
        a_.movd(xmm(to), gpd(bits));
    }
    a_.bind(back);
    cold([=, this] {
        a_.bind(bad);
        a_.movss(xmm(to), native(offsetof(NativeState, nan32), 4));
        a_.jmp(back);
    });
    release(at.a);
    int home = xmm_result(id, to);
    if (home != to) a_.movaps(xmm(home), xmm(to));
}

}  // namespace doppel::translate::x86
