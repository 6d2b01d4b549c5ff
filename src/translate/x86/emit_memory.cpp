#include "translate/x86/emitter.h"

namespace doppel::translate::x86 {

using asmjit::imm;
namespace x86 = asmjit::x86;

namespace {

constexpr unsigned kPageShift = 12, kEntryShift = 5;
constexpr int32_t kPageMask = -4096;

}  // namespace

bool Emitter::emit_access(ValueId id, const Node& at) {
    switch (at.operation) {
        case Operation::kLoad:
        case Operation::kLoadSigned:
        case Operation::kLoadZero:
            emit_load(id, at);
            return true;
        case Operation::kStore:
            emit_store(at);
            return true;
        case Operation::kLoadReserved:
            emit_load_reserved(id, at);
            return true;
        case Operation::kStoreConditional:
            emit_store_conditional(id, at);
            return true;
        case Operation::kFence:
            a_.lock().or_(x86::dword_ptr(x86::rsp), imm(0));
            return true;
        default:
            if (at.operation < Operation::kAtomicSwap || at.operation > Operation::kAtomicMaxUnsigned) return false;
            emit_atomic(id, at);
            return true;
    }
}

// Looks the page up in the soft TLB by the access's last byte, so that an access that crosses a page is not found.
Emitter::Checked Emitter::check(const Node& at, unsigned bytes, bool writes, bool aligned) {
    int base = gpr(at.a);
    auto offset = static_cast<int32_t>(at.imm);
    int slot = temporary(), page = temporary();
    Label retry = a_.newLabel(), miss = a_.newLabel();
    Label misaligned = aligned ? a_.newLabel() : Label();
    a_.bind(retry);
    if (offset == 0) {
        a_.mov(gpq(slot), gpq(base));
    } else {
        a_.lea(gpq(slot), x86::ptr(gpq(base), offset));
    }
    if (aligned) {
        a_.test(gpd(slot), imm(bytes - 1));
        a_.jnz(misaligned);
    }
    a_.lea(gpq(page), x86::ptr(gpq(base), offset + static_cast<int32_t>(bytes) - 1));
    a_.shr(gpq(slot), imm(kPageShift - kEntryShift));
    a_.and_(gpq(page), imm(kPageMask));
    a_.and_(gpq(slot), native(offsetof(NativeState, tlb_mask)));
    a_.cmp(gpq(page), x86::ptr(gpq(reg::kTlb), gpq(slot), 0, writes ? layout_.tlb_write_tag : layout_.tlb_read_tag));
    a_.jne(miss);
    a_.mov(gpq(slot), x86::ptr(gpq(reg::kTlb), gpq(slot), 0, layout_.tlb_offset));
    access_fault_used_ = true;
    cold([=, this, where = position(), floats = floats_live()] {
        a_.bind(miss);
        a_.lea(gpq(page), x86::ptr(gpq(base), offset));
        a_.mov(native(offsetof(NativeState, access_address)), gpq(page));
        a_.mov(native(offsetof(NativeState, access_kind), 4), imm(bytes | (writes ? NativeState::kWrites : 0)));
        a_.mov(native(offsetof(NativeState, position), 4), imm(where));
        a_.call(native(floats ? offsetof(NativeState, fill_float) : offsetof(NativeState, fill)));
        a_.jnz(retry);
        a_.jmp(access_fault_);
        if (!aligned) return;
        a_.bind(misaligned);
        a_.mov(native(offsetof(NativeState, position), 4), imm(where));
        a_.jmp(access_fault_);
    });
    return {base, slot, page};
}

void Emitter::emit_load(ValueId id, const Node& at) {
    unsigned bytes = at.extra / 8;
    Checked checked = check(at, bytes, false, false);
    Mem from = x86::ptr(gpq(checked.base), gpq(checked.addend), 0, static_cast<int32_t>(at.imm), bytes);
    release(at.a);
    bool plain = at.operation == Operation::kLoad;
    if (places_[id].wants_xmm && plain && bytes >= 4) {
        int to = xmm_result(id);
        bytes == 8 ? a_.movsd(xmm(to), from) : a_.movss(xmm(to), from);
        return;
    }
    int to = result(id, checked.spare);
    bool sign = at.operation == Operation::kLoadSigned;
    switch (bytes) {
        case 8:
            a_.mov(gpq(to), from);
            break;
        case 4:
            sign ? a_.movsxd(gpq(to), from) : a_.mov(gpd(to), from);
            break;
        default:
            sign ? a_.movsx(at.type == Type::kI64 ? gpq(to) : gpd(to), from) : a_.movzx(gpd(to), from);
    }
}

void Emitter::emit_store(const Node& at) {
    unsigned bytes = at.extra / 8;
    int64_t constant = 0;
    bool immediate = small_constant(at.b, bytes == 8 ? Type::kI64 : Type::kI32, constant);
    bool floating = !immediate && bytes >= 4 && place(at.b).gpr < 0 && place(at.b).xmm >= 0;
    int value = immediate ? -1 : floating ? xmm_of(at.b) : gpr(at.b);
    Checked checked = check(at, bytes, true, false);
    Mem to = x86::ptr(gpq(checked.base), gpq(checked.addend), 0, static_cast<int32_t>(at.imm), bytes);
    auto number = static_cast<uint32_t>(value);
    if (immediate) {
        int64_t bits = bytes == 1 ? static_cast<int8_t>(constant) : bytes == 2 ? static_cast<int16_t>(constant) : constant;
        a_.mov(to, imm(bits));
    } else if (floating) {
        bytes == 8 ? a_.movsd(to, xmm(value)) : a_.movss(to, xmm(value));
    } else if (bytes == 8) {
        a_.mov(to, gpq(value));
    } else if (bytes == 4) {
        a_.mov(to, gpd(value));
    } else if (bytes == 2) {
        a_.mov(to, x86::gpw(number));
    } else {
        a_.mov(to, x86::gpb_lo(number));
    }
    release(at.a);
    release(at.b);
}

// The host address in a temporary; only that one, and the guest address, stay locked.
int Emitter::atomic_address(const Node& at, bool writes) {
    Checked checked = check(at, at.extra / 8, writes, true);
    a_.add(gpq(checked.addend), gpq(checked.base));
    unlock(checked.spare);
    return checked.addend;
}

void Emitter::emit_atomic(ValueId id, const Node& at) {
    Type type = at.type;
    auto sized = [&](int number) { return type == Type::kI64 ? gpq(number) : gpd(number); };
    bool loops = at.operation != Operation::kAtomicSwap && at.operation != Operation::kAtomicAdd;
    if (loops) take(reg::kRax);
    int address = atomic_address(at, true);
    int base = place(at.a).gpr;
    release(at.a);
    if (owner_[static_cast<size_t>(base)] == 0) unlock(base);
    int value = gpr(at.b);
    Mem memory = x86::ptr(gpq(address), 0, type == Type::kI64 ? 8u : 4u);
    int work = temporary();
    if (!loops) {
        a_.mov(sized(work), sized(value));
        at.operation == Operation::kAtomicSwap ? a_.xchg(memory, sized(work)) : a_.lock().xadd(memory, sized(work));
        release(at.b);
        int to = result(id, work);
        if (to != work) a_.mov(sized(to), sized(work));
        return;
    }
    Label again = a_.newLabel();
    x86::Gp old = sized(reg::kRax), fresh = sized(work), operand = sized(value);
    a_.mov(old, memory);
    a_.bind(again);
    a_.mov(fresh, operand);
    switch (at.operation) {
        case Operation::kAtomicXor:
            a_.xor_(fresh, old);
            break;
        case Operation::kAtomicAnd:
            a_.and_(fresh, old);
            break;
        case Operation::kAtomicOr:
            a_.or_(fresh, old);
            break;
        case Operation::kAtomicMin:
            a_.cmp(old, operand);
            a_.cmovl(fresh, old);
            break;
        case Operation::kAtomicMax:
            a_.cmp(old, operand);
            a_.cmovg(fresh, old);
            break;
        case Operation::kAtomicMinUnsigned:
            a_.cmp(old, operand);
            a_.cmovb(fresh, old);
            break;
        default:
            a_.cmp(old, operand);
            a_.cmova(fresh, old);
    }
    a_.lock().cmpxchg(memory, fresh);
    a_.jne(again);
    release(at.b);
    int to = result(id, reg::kRax);
    if (to != reg::kRax) a_.mov(sized(to), old);
}

void Emitter::emit_load_reserved(ValueId id, const Node& at) {
    int address = atomic_address(at, false);
    int base = place(at.a).gpr;
    int value = temporary();
    unsigned bytes = at.extra / 8;
    Mem memory = x86::ptr(gpq(address), 0, bytes);
    bytes == 8 ? a_.mov(gpq(value), memory) : a_.mov(gpd(value), memory);
    a_.mov(state(layout_.reservation_address), gpq(base));
    a_.mov(state(layout_.reservation_value), gpq(value));
    a_.mov(state(layout_.reservation_bytes, 1), imm(bytes));
    release(at.a);
    int to = result(id, value);
    if (to != value) a_.mov(gpq(to), gpq(value));
}

void Emitter::emit_store_conditional(ValueId id, const Node& at) {
    take(reg::kRax);
    int address = atomic_address(at, true);
    int base = place(at.a).gpr;
    int value = gpr(at.b);
    unsigned bytes = at.extra / 8;
    Label done = a_.newLabel();
    a_.mov(gpq(reg::kRax), state(layout_.reservation_value));
    a_.cmp(state(layout_.reservation_bytes, 1), imm(bytes));
    a_.jne(done);
    a_.cmp(state(layout_.reservation_address), gpq(base));
    a_.jne(done);
    Mem memory = x86::ptr(gpq(address), 0, bytes);
    bytes == 8 ? a_.lock().cmpxchg(memory, gpq(value)) : a_.lock().cmpxchg(memory, gpd(value));
    a_.bind(done);
    a_.setne(x86::al);
    a_.mov(state(layout_.reservation_bytes, 1), imm(0));
    a_.movzx(gpd(reg::kRax), x86::al);
    release(at.a);
    release(at.b);
    int to = result(id, reg::kRax);
    if (to != reg::kRax) a_.mov(gpq(to), gpq(reg::kRax));
}

}  // namespace doppel::translate::x86
