#include <bit>
#include <utility>

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

// `slot` becomes the host address minus the guest address of [base + span.offset, + span.bytes). The page is looked up
// by the last byte, so that what crosses a page is not found. `page` is used up.
void Emitter::look_up(int base, int slot, int page, const Span& span, const Label& miss) {
    constexpr int kShift = kPageShift - kEntryShift;
    a_.lea(gpq(page), x86::ptr(gpq(base), span.offset + static_cast<int32_t>(span.bytes) - 1));
    const int first = span.offset == 0 ? base : span.bytes == 1 ? page : -1;
    if (first >= 0 && host_.bmi2) {
        a_.rorx(gpq(slot), gpq(first), imm(kShift));  // the mask drops what comes in above
    } else {
        a_.lea(gpq(slot), x86::ptr(gpq(base), span.offset));
        a_.shr(gpq(slot), imm(kShift));
    }
    a_.and_(gpq(page), imm(kPageMask));
    a_.and_(gpq(slot), native(offsetof(NativeState, tlb_mask)));
    int32_t tag = span.writes ? layout_.tlb_write_tag : layout_.tlb_read_tag;
    a_.cmp(gpq(page), x86::ptr(gpq(reg::kTlb), gpq(slot), 0, tag));
    a_.jne(miss);
    a_.mov(gpq(slot), x86::ptr(gpq(reg::kTlb), gpq(slot), 0, layout_.tlb_offset));
}

// In code off the usual path: asks the engine for the page. What is emitted next is where it goes on with it.
void Emitter::call_fill(int base, int addend, const Span& span, const Miss& miss) {
    a_.call(native(miss.floats ? offsetof(NativeState, fill_float) : offsetof(NativeState, fill)));
    FillNote asks{.position = miss.where,
                  .offset = span.offset,
                  .bytes = static_cast<uint16_t>(span.bytes),
                  .base = static_cast<uint8_t>(base),
                  .addend = static_cast<uint8_t>(addend),
                  .writes = span.writes,
                  .aligned = miss.aligned,
                  .may_fail = miss.may_fail,
                  .leaves = is_canonical_};
    for (uint32_t word : asks.words()) note(word);
}

Emitter::Checked Emitter::check(const Node& at, unsigned bytes, bool writes, bool aligned) {
    int base = gpr(at.a);
    Span span{static_cast<int32_t>(at.imm), bytes, writes};
    int slot = temporary(), page = temporary();
    Label found = a_.newLabel(), miss = a_.newLabel();
    if (aligned) {
        a_.test(gpd(base), imm(bytes - 1));
        a_.jnz(miss);
    }
    look_up(base, slot, page, span, miss);
    a_.bind(found);
    Miss asks = present_miss();
    asks.aligned = aligned;
    cold([=, this] {
        a_.bind(miss);
        call_fill(base, slot, span, asks);
        a_.long_().jmp(found);
        jump_to_access_fault();
    });
    return {base, slot, page};
}

// Without a page in code whose mapping the common exit does not know.
void Emitter::jump_to_access_fault() {
    if (is_canonical_) return;
    access_fault_used_ = true;
    a_.jmp(access_fault_);
}

// The first access of a window looks the page up for all of them.
int Emitter::addend_of(ValueId id, int base) {
    Window& window = windows_[id - block_->nodes.size()];
    if (std::exchange(window.open, true)) return gpr(id);
    Span span{window.first, static_cast<uint32_t>(window.end - window.first), window.writes};
    int slot = temporary(), page = temporary();
    Label miss = a_.newLabel(), found = a_.newLabel(), none = a_.newLabel();
    look_up(base, slot, page, span, miss);
    a_.bind(found);
    Miss asks = present_miss();
    asks.may_fail = true;
    cold([=, this] {
        a_.bind(miss);
        call_fill(base, slot, span, asks);
        a_.test(gpq(slot), gpq(slot));
        a_.jnz(found);
        a_.jmp(none);
    });
    begin_series(id, none);
    unlock(page);
    places_[id].gpr = static_cast<int8_t>(slot);
    owner_[static_cast<size_t>(slot)] = id;
    return slot;
}

// What follows may be its accesses; without the window it goes on at `begin`.
void Emitter::begin_series(ValueId window, const Label& begin) {
    series_ = std::make_shared<Series>(Series{begin, a_.newLabel(), {}});
    a_.bind(series_->end);  // until there is an access
    series_window_ = window;
    series_at_ = a_.offset();
    series_labels_ = holder_.labelCount();
    cold([this, series = series_] {
        a_.bind(series->begin);
        for (const Series::Step& step : series->steps) {
            a_.embed(holder_.textSection()->buffer().data() + step.from, step.to - step.from);
            step.alone();
        }
        a_.jmp(series->end);
    });
}

bool Emitter::in_series(ValueId window) const {
    return series_ != nullptr && series_window_ == window && series_labels_ == holder_.labelCount();
}

Emitter::Windowed Emitter::use_window(const Node& at, ValueId window) {
    int base = gpr(at.a);
    Windowed by{base, addend_of(window, base), window, places_[window].uses == 1};
    release(at.a);
    release(window);
    return by;
}

// An access by a window, or by itself where the window is none. `access` emits it, for both; `in_use` are the registers
// that it reads besides the address's.
void Emitter::access_by_window(const Node& at, const Windowed& by, uint32_t in_use, const Access& access) {
    if (!in_series(by.window)) {
        Label none = a_.newLabel();
        a_.test(gpq(by.addend), gpq(by.addend));
        a_.jz(none);
        begin_series(by.window, none);
    }
    const size_t before = series_at_, here = a_.offset();
    access(by.base, by.addend);
    Span span{static_cast<int32_t>(at.imm), at.extra / 8u, at.operation == Operation::kStore};
    const int page = std::countr_zero(kTemporaries & ~(in_use | bit(by.base) | bit(by.addend)));
    series_->steps.push_back({before, here, [=, this, asks = present_miss()] {
                                  access_alone(by, span, asks, page);
                                  access(by.base, by.addend);
                                  if (!by.last) a_.mov(gpd(by.addend), imm(0));
                              }});
    series_->end = a_.newLabel();
    a_.bind(series_->end);
    series_at_ = a_.offset();
    series_labels_ = holder_.labelCount();
}

// The addend of this access alone; `page` keeps what it holds.
void Emitter::access_alone(const Windowed& by, const Span& span, const Miss& asks, int page) {
    Label miss = a_.newLabel(), found = a_.newLabel();
    a_.mov(native(offsetof(NativeState, saved)), gpq(page));
    look_up(by.base, by.addend, page, span, miss);
    a_.bind(found);
    a_.mov(gpq(page), native(offsetof(NativeState, saved)));
    cold([=, this, base = by.base, addend = by.addend] {
        a_.bind(miss);
        call_fill(base, addend, span, asks);
        a_.long_().jmp(found);
        jump_to_access_fault();
    });
}

void Emitter::emit_load(ValueId id, const Node& at) {
    auto offset = static_cast<int32_t>(at.imm);
    if (ValueId window = window_of_[id]) {
        Windowed by = use_window(at, window);
        bool floating = is_float_load(id, at);
        int to = floating ? xmm_result(id) : result(id);
        access_by_window(at, by, 0, [=, this](int base, int addend) {
            load_from(at, x86::ptr(gpq(base), gpq(addend), 0, offset, at.extra / 8u), to, floating);
        });
        return;
    }
    Checked checked = check(at, at.extra / 8, false, false);
    Mem from = x86::ptr(gpq(checked.base), gpq(checked.addend), 0, offset, at.extra / 8u);
    release(at.a);
    bool floating = is_float_load(id, at);
    load_from(at, from, floating ? xmm_result(id) : result(id, checked.spare), floating);
}

bool Emitter::is_float_load(ValueId id, const Node& at) const {
    return places_[id].wants_xmm && at.operation == Operation::kLoad && at.extra >= 32;
}

void Emitter::load_from(const Node& at, const Mem& from, int to, bool floating) {
    if (floating) {
        at.extra == 64 ? a_.movsd(xmm(to), from) : a_.movss(xmm(to), from);
        return;
    }
    bool sign = at.operation == Operation::kLoadSigned;
    switch (at.extra) {
        case 64:
            a_.mov(gpq(to), from);
            break;
        case 32:
            sign ? a_.movsxd(gpq(to), from) : a_.mov(gpd(to), from);
            break;
        default:
            sign ? a_.movsx(at.type == Type::kI64 ? gpq(to) : gpd(to), from) : a_.movzx(gpd(to), from);
    }
}

void Emitter::emit_store(const Node& at) {
    unsigned bytes = at.extra / 8;
    auto offset = static_cast<int32_t>(at.imm);
    int64_t constant = 0;
    bool immediate = small_constant(at.b, bytes == 8 ? Type::kI64 : Type::kI32, constant);
    bool floating = !immediate && bytes >= 4 && place(at.b).gpr < 0 && place(at.b).xmm >= 0;
    int value = immediate ? -1 : floating ? xmm_of(at.b) : gpr(at.b);
    auto store = [=, this](int base, int addend) {
        Mem to = x86::ptr(gpq(base), gpq(addend), 0, offset, bytes);
        immediate ? store_constant(to, constant) : store_to(to, value, floating);
    };
    if (ValueId window = window_of_[present_]) {
        access_by_window(at, use_window(at, window), immediate || floating ? 0 : bit(value), store);
        return release(at.b);
    }
    Checked checked = check(at, bytes, true, false);
    store(checked.base, checked.addend);
    release(at.a);
    release(at.b);
}

void Emitter::store_constant(const Mem& to, int64_t constant) {
    int64_t bits = to.size() == 1   ? static_cast<int8_t>(constant)
                   : to.size() == 2 ? static_cast<int16_t>(constant)
                                    : constant;
    a_.mov(to, imm(bits));
}

void Emitter::store_to(const Mem& to, int value, bool floating) {
    auto number = static_cast<uint32_t>(value);
    if (floating) {
        to.size() == 8 ? a_.movsd(to, xmm(value)) : a_.movss(to, xmm(value));
    } else if (to.size() == 8) {
        a_.mov(to, gpq(value));
    } else if (to.size() == 4) {
        a_.mov(to, gpd(value));
    } else if (to.size() == 2) {
        a_.mov(to, x86::gpw(number));
    } else {
        a_.mov(to, x86::gpb_lo(number));
    }
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
