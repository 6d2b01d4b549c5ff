// Where values are: homes of guest registers, temporaries, spills.
#include <algorithm>
#include <utility>

#include "translate/x86/emitter.h"

namespace doppel::translate::x86 {

using asmjit::imm;
namespace x86 = asmjit::x86;

Emitter::Mem Emitter::state(int32_t offset, uint32_t size) const {
    return x86::Mem(gpq(reg::kState), offset, size);
}

Emitter::Mem Emitter::home_memory(int home, uint32_t size) const {
    if (home < kFloatHomes) return state(layout_.integers + 8 * home, size);
    return state(layout_.floats + 8 * (home - kFloatHomes), size);
}

int Emitter::host_of(int home) const {
    return home < kFloatHomes ? mapping_.integer[static_cast<size_t>(home)]
                              : mapping_.floating[static_cast<size_t>(home - kFloatHomes)];
}

int8_t Emitter::home_register(int home) const {
    return static_cast<int8_t>(home >= 0 ? host_of(home) : -1);
}

bool Emitter::small_constant(ValueId id, Type type, int64_t& value) const {
    if (!is_constant(id)) return false;
    const Node& source = node(root(id));
    value = static_cast<int64_t>(source.imm);
    if (type != Type::kI64) value = static_cast<int32_t>(source.imm);
    return value == static_cast<int32_t>(value);
}

bool Emitter::is_somewhere(ValueId id) const {
    const Place& at = places_[id];
    return at.gpr >= 0 || at.xmm >= 0 || at.spill >= 0 || at.integer_home >= 0 || at.float_home >= 0 || is_constant(id);
}

bool Emitter::floats_live() const {
    bool owned = std::any_of(xmm_owner_.begin(), xmm_owner_.end(), [](ValueId id) { return id != 0; });
    return owned || xmm_homes_ != 0;
}

// Only for places in no register; homes in registers have one.
Emitter::Mem Emitter::memory_of(const Place& at, uint32_t size) const {
    if (at.spill >= 0) {
        return native(offsetof(NativeState, spills) + 8 * static_cast<size_t>(at.spill), size);
    }
    if (at.integer_home >= 0) return home_memory(at.integer_home, size);
    return home_memory(at.float_home, size);
}

bool Emitter::in_memory(ValueId id, Mem& memory, uint32_t size) {
    const Place& at = place(id);
    if (at.gpr >= 0 || at.xmm >= 0 || is_constant(id)) return false;
    memory = memory_of(at, size);
    return true;
}

void Emitter::move_constant(int to, uint64_t value) {
    if (value <= 0xffff'ffff) {
        a_.mov(gpd(to), imm(value));
    } else {
        a_.mov(gpq(to), imm(value));
    }
}

int Emitter::gpr(ValueId id) {
    Place& at = place(id);
    if (at.gpr < 0) {
        int to = temporary();
        if (is_constant(id)) {
            move_constant(to, node(root(id)).imm);
        } else if (at.xmm >= 0) {
            a_.movq(gpq(to), xmm(at.xmm));
        } else {
            a_.mov(gpq(to), memory_of(at, 8));
        }
        at.gpr = static_cast<int8_t>(to);
        owner_[static_cast<size_t>(to)] = root(id);
    }
    lock(at.gpr);
    return at.gpr;
}

int Emitter::xmm_of(ValueId id) {
    Place& at = place(id);
    if (at.xmm < 0) {
        int to = xmm_temporary();
        if (is_constant(id)) {
            int through = temporary();
            move_constant(through, node(root(id)).imm);
            a_.movq(xmm(to), gpq(through));
            unlock(through);
        } else if (at.gpr >= 0) {
            a_.movq(xmm(to), gpq(at.gpr));
        } else {
            a_.movsd(xmm(to), memory_of(at, 8));
        }
        at.xmm = static_cast<int8_t>(to);
        xmm_owner_[static_cast<size_t>(to)] = root(id);
    }
    lock_xmm(at.xmm);
    return at.xmm;
}

// Who is needed last goes first; one that is somewhere else too costs no store.
int Emitter::temporary() {
    constexpr size_t kStoreCost = 12;
    int victim = -1;
    size_t best = 0;
    for (int number = 0; number < 16; number++) {
        if (!(kTemporaries & bit(number)) || (locked_ & bit(number))) continue;
        ValueId owner = owner_[static_cast<size_t>(number)];
        if (owner == 0) {
            lock(number);
            return number;
        }
        Place& at = places_[owner];
        at.gpr = -1;
        size_t distance =
            (at.next_use == kNoUse ? uses_.size() / 4 : at.next_use / 4u) - std::min(present_, at.next_use / size_t{4});
        if (is_somewhere(owner)) distance += kStoreCost;
        at.gpr = static_cast<int8_t>(number);
        if (victim < 0 || distance > best) {
            victim = number;
            best = distance;
        }
    }
    if (victim < 0) {
        failed_ = true;
        return reg::kRax;
    }
    evict(victim);
    lock(victim);
    return victim;
}

int Emitter::xmm_temporary() {
    int victim = -1;
    for (int number = 0; number < 16; number++) {
        if ((xmm_homes_ | locked_xmm_) & bit(number)) continue;
        if (xmm_owner_[static_cast<size_t>(number)] == 0) {
            lock_xmm(number);
            return number;
        }
        if (victim < 0) victim = number;
    }
    if (victim < 0) {
        failed_ = true;
        return 0;
    }
    evict_xmm(victim);
    lock_xmm(victim);
    return victim;
}

int Emitter::spill_slot() {
    for (unsigned slot = 0; slot < kSpills; slot++) {
        if (spills_used_ >> slot & 1) continue;
        spills_used_ |= uint64_t{1} << slot;
        return static_cast<int>(slot);
    }
    failed_ = true;
    return 0;
}

void Emitter::evict(int number) {
    ValueId id = std::exchange(owner_[static_cast<size_t>(number)], ValueId{0});
    if (id == 0) return;
    Place& at = places_[id];
    at.gpr = home_register(at.integer_home);
    if (is_somewhere(id)) return;
    at.spill = static_cast<int8_t>(spill_slot());
    a_.mov(memory_of(at, 8), gpq(number));
}

void Emitter::evict_xmm(int number) {
    ValueId id = std::exchange(xmm_owner_[static_cast<size_t>(number)], ValueId{0});
    if (id == 0) return;
    Place& at = places_[id];
    at.xmm = home_register(at.float_home);
    if (is_somewhere(id)) return;
    at.spill = static_cast<int8_t>(spill_slot());
    a_.movsd(memory_of(at, 8), xmm(number));
}

void Emitter::take(int number) {
    evict(number);
    lock(number);
}

void Emitter::release(ValueId id) {
    Place& at = place(id);
    if (at.next_use != kNoUse) at.next_use = uses_[at.next_use];
    if (at.uses == 0 || --at.uses != 0) return;
    if (at.gpr >= 0 && owner_[static_cast<size_t>(at.gpr)] == root(id)) {
        owner_[static_cast<size_t>(at.gpr)] = 0;
        at.gpr = -1;
    }
    if (at.xmm >= 0 && xmm_owner_[static_cast<size_t>(at.xmm)] == root(id)) {
        xmm_owner_[static_cast<size_t>(at.xmm)] = 0;
        at.xmm = -1;
    }
    if (at.spill >= 0) {
        spills_used_ &= ~(uint64_t{1} << at.spill);
        at.spill = -1;
    }
}

int Emitter::result(ValueId id, int hint) {
    Place& at = places_[id];
    if (at.target >= 0 && at.target < kFloatHomes) {
        enter_home(at.target, id);
        at.gpr = static_cast<int8_t>(host_of(at.target));
        return at.gpr;
    }
    bool hint_is_free = hint >= 0 && (kTemporaries & bit(hint)) && owner_[static_cast<size_t>(hint)] == 0;
    int to = hint_is_free ? hint : temporary();
    lock(to);
    owner_[static_cast<size_t>(to)] = id;
    at.gpr = static_cast<int8_t>(to);
    return to;
}

int Emitter::xmm_result(ValueId id, int hint, bool may_overwrite_home) {
    Place& at = places_[id];
    if (at.target >= kFloatHomes && may_overwrite_home) {
        enter_home(at.target, id);
        at.xmm = static_cast<int8_t>(host_of(at.target));
        return at.xmm;
    }
    bool hint_is_free = hint >= 0 && !(xmm_homes_ & bit(hint)) && xmm_owner_[static_cast<size_t>(hint)] == 0;
    int to = hint_is_free ? hint : xmm_temporary();
    lock_xmm(to);
    xmm_owner_[static_cast<size_t>(to)] = id;
    at.xmm = static_cast<int8_t>(to);
    return to;
}

// What the home holds will be overwritten: who still needs it moves.
void Emitter::leave_home(int home) {
    ValueId id = std::exchange(current_[static_cast<size_t>(home)], ValueId{0});
    if (id == 0) return;
    Place& at = places_[id];
    bool floating = home >= kFloatHomes;
    int8_t& known = floating ? at.float_home : at.integer_home;
    int host = host_of(home);
    if (known == home) {
        known = -1;
        for (int other = floating ? kFloatHomes : 0; other < (floating ? 64 : kFloatHomes); other++) {
            if (current_[static_cast<size_t>(other)] == id) known = static_cast<int8_t>(other);
        }
    }
    int8_t& in_register = floating ? at.xmm : at.gpr;
    if (in_register < 0 || in_register == host) in_register = home_register(known);
    if (at.uses == 0 || is_somewhere(id)) return;
    if (floating) {
        int to = xmm_temporary();
        if (host >= 0) {
            a_.movaps(xmm(to), xmm(host));
        } else {
            a_.movsd(xmm(to), home_memory(home));
        }
        at.xmm = static_cast<int8_t>(to);
        xmm_owner_[static_cast<size_t>(to)] = id;
    } else {
        int to = temporary();
        if (host >= 0) {
            a_.mov(gpq(to), gpq(host));
        } else {
            a_.mov(gpq(to), home_memory(home));
        }
        at.gpr = static_cast<int8_t>(to);
        owner_[static_cast<size_t>(to)] = id;
    }
}

// The home holds `id` from here on.
void Emitter::enter_home(int home, ValueId id) {
    if (current_[static_cast<size_t>(home)] != id) leave_home(home);
    current_[static_cast<size_t>(home)] = id;
    (home >= kFloatHomes ? places_[id].float_home : places_[id].integer_home) = static_cast<int8_t>(home);
}

void Emitter::set_integer(const Node& set) {
    auto home = static_cast<int>(set.imm);
    ValueId id = root(set.a);
    int host = host_of(home);
    if (current_[static_cast<size_t>(home)] == id) return release(set.a);
    int64_t small = 0;
    if (host < 0) {
        if (small_constant(id, Type::kI64, small)) {
            leave_home(home);
            a_.mov(home_memory(home), imm(small));
        } else {
            int from = gpr(id);
            leave_home(home);
            a_.mov(home_memory(home), gpq(from));
        }
        enter_home(home, id);
        return release(set.a);
    }
    leave_home(home);
    Place& at = places_[id];
    if (at.gpr >= 0) {
        a_.mov(gpq(host), gpq(at.gpr));
    } else if (is_constant(id)) {
        move_constant(host, node(id).imm);
    } else if (at.xmm >= 0) {
        a_.movq(gpq(host), xmm(at.xmm));
    } else {
        a_.mov(gpq(host), memory_of(at, 8));
    }
    if (at.gpr >= 0 && owner_[static_cast<size_t>(at.gpr)] == id) {
        owner_[static_cast<size_t>(at.gpr)] = 0;
        at.gpr = -1;
    }
    enter_home(home, id);
    // Another home's register may have been known; the newest one is.
    at.gpr = static_cast<int8_t>(host);
    release(set.a);
}

void Emitter::set_float(const Node& set) {
    int home = kFloatHomes + static_cast<int>(set.imm);
    ValueId id = root(set.a);
    int host = host_of(home);
    if (current_[static_cast<size_t>(home)] == id) return release(set.a);
    Place& at = places_[id];
    if (host < 0) {
        if (at.xmm < 0 && at.gpr < 0) {
            int from = xmm_of(id);
            leave_home(home);
            a_.movsd(home_memory(home), xmm(from));
        } else {
            leave_home(home);
            if (at.xmm >= 0) {
                a_.movsd(home_memory(home), xmm(at.xmm));
            } else {
                a_.mov(home_memory(home), gpq(at.gpr));
            }
        }
        enter_home(home, id);
        return release(set.a);
    }
    int from = xmm_of(id);
    leave_home(home);
    if (from != host) a_.movaps(xmm(host), xmm(from));
    if (xmm_owner_[static_cast<size_t>(from)] == id) xmm_owner_[static_cast<size_t>(from)] = 0;
    enter_home(home, id);
    at.xmm = static_cast<int8_t>(host);
    release(set.a);
}

}  // namespace doppel::translate::x86
