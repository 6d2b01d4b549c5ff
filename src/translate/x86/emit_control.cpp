// Where blocks begin and end: the budget, jumps inside the code, and the ways out of it.
#include "translate/x86/emitter.h"
#include "translate/x86/thunks.h"

namespace doppel::translate::x86 {

using asmjit::imm;
namespace x86 = asmjit::x86;

namespace {

constexpr int64_t kPageBytes = 4096;

constexpr uint32_t kEntryAlignment = 8;

// The last two bytes may be half of an instruction whose other half depends on the address space, as addresses do.
bool is_linkable(int64_t offset) {
    return offset >= 0 && offset < kPageBytes - 2;
}

}  // namespace

const asmjit::Label* Emitter::internal(int64_t offset) const {
    for (size_t i = 0; i < blocks_.size(); i++) {
        if (blocks_[i].start() == offset) return &labels_[i];
    }
    return nullptr;
}

void Emitter::emit_entry(const Block& block, size_t index) {
    compiled_.entries.push_back(static_cast<uint32_t>(a_.offset()));
    if (is_canonical_) {
        a_.align(asmjit::AlignMode::kCode, kEntryAlignment);
        compiled_.entries[index] = static_cast<uint32_t>(a_.offset());
    } else {
        cold([=, this] {
            compiled_.entries[index] = static_cast<uint32_t>(a_.offset());
            cold_entries_.push_back(static_cast<uint32_t>(index));
            from_canonical();
            a_.jmp(labels_[index]);
        });
    }
    a_.bind(labels_[index]);
    Label out = a_.newLabel();
    if (is_canonical_) a_.long_();  // room for a jump
    a_.sub(gpq(reg::kBudget), imm(block.count()));
    a_.jl(out);
    cold([=, this, start = block.start(), count = block.count()] {
        a_.bind(out);
        a_.add(gpq(reg::kBudget), imm(count));
        leave_by(&NativeState::exit_budget, start);
    });
}

bool Emitter::emit_control(const Node& at) {
    switch (at.operation) {
        case Operation::kJump:
            is_call(at) ? emit_guest_call(at) : jump_to_offset(static_cast<int64_t>(at.imm));
            return true;
        case Operation::kBranch:
            emit_branch(at);
            return true;
        case Operation::kJumpTo: {
            int pc = gpr(at.a);
            if (pc != reg::kRax) a_.mov(gpq(reg::kRax), gpq(pc));
            to_canonical();
            if (is_call(at)) {
                emit_guest_call_to_address(at);
            } else {
                at.extra == kReturn ? emit_return() : jump_to_address(reg::kRax);
            }
            return true;
        }
        case Operation::kResume:
            emit_resume(at);
            return true;
        case Operation::kZeroing:
            a_.cmp(native(offsetof(NativeState, zeroes_blocks), 4), imm(0));
            interpret_if(Condition::kE);
            return true;
        case Operation::kInterpret:
            leave_by(&NativeState::exit_interpret, position());
            return true;
        default:
            return false;
    }
}

void Emitter::emit_resume(const Node& at) {
    Label out = a_.newLabel();
    a_.cmp(native(offsetof(NativeState, leaves), 4), imm(0));
    a_.jne(out);
    cold([=, this, offset = static_cast<uint32_t>(at.imm)] {
        a_.bind(out);
        leave_by(&NativeState::exit_resume, offset);
    });
    jump_to_offset(static_cast<int64_t>(at.imm));
}

void Emitter::emit_branch(const Node& at) {
    ValueId condition_id = root(at.a);
    Condition condition = Condition::kNE;
    if (places_[condition_id].deferred) {
        condition = emit_comparison(condition_id);
    } else {
        int value = gpr(at.a);
        a_.test(gpd(value), gpd(value));
    }
    auto taken = static_cast<int64_t>(at.imm);
    if (const Label* label = internal(taken)) {
        a_.j(condition, *label);
    } else if (is_canonical_ && is_linkable(taken) && techniques_.links) {
        link_site(static_cast<uint16_t>(taken), x86::Inst::jccFromCond(condition));
    } else {
        Label out = a_.newLabel();
        a_.j(condition, out);
        cold([=, this] {
            a_.bind(out);
            jump_to_offset(taken);
        });
    }
    jump_to_offset(at.other);
}

// Calls are the host's, with the guest's address beneath where they return to, so that the host foresees the way back.
// A slice of the budget bounds how many can be open; whatever leaves translated code ends them all.
void Emitter::emit_guest_call(const Node& at) {
    const auto offset = static_cast<int64_t>(at.imm);
    const Label* inside = internal(offset);
    if (inside == nullptr) to_canonical();
    push_return(at, inside != nullptr ? mapping_ : canonical_mapping());
    if (inside != nullptr) {
        a_.call(*inside);
    } else if (is_linkable(offset) && techniques_.links) {
        link_site(static_cast<uint16_t>(offset), x86::Inst::kIdCall);
    } else {
        a_.mov(gpq(reg::kRax), native(offsetof(NativeState, page)));
        a_.add(gpq(reg::kRax), imm(offset));
        call_address(reg::kRax);
    }
    come_back(at.other);
}

void Emitter::emit_guest_call_to_address(const Node& at) {
    push_return(at, canonical_mapping());
    call_address(reg::kRax);
    come_back(at.other);
}

void Emitter::push_return(const Node& call, const Mapping& mapping) {
    const int host = mapping.integer[call.extra];
    host >= 0 ? a_.push(gpq(host)) : a_.push(home_memory(call.extra));
}

// Behind a call, the mapping canonical.
void Emitter::come_back(int64_t offset) {
    a_.pop(gpq(reg::kRcx));
    a_.and_(gpq(reg::kRcx), imm(-kPageBytes));
    a_.mov(native(offsetof(NativeState, page)), gpq(reg::kRcx));
    if (const Label* label = internal(offset)) {
        if (!is_canonical_) from_canonical();
        a_.jmp(*label);
    } else if (is_linkable(offset) && techniques_.links) {
        link_site(static_cast<uint16_t>(offset));
    } else {
        leave_page(offset);
    }
}

// To the address in rax, the mapping canonical.
void Emitter::emit_return() {
    Label other = a_.newLabel();
    a_.cmp(gpq(reg::kRax), x86::ptr(x86::rsp, 8, 8));
    a_.jne(other);
    a_.ret();
    cold([=, this] {
        a_.bind(other);
        jump_to_address(reg::kRax);
    });
}

void Emitter::jump_to_offset(int64_t offset) {
    if (const Label* label = internal(offset)) {
        bool falls_through = block_index_ + 1 < blocks_.size() && label == &labels_[block_index_ + 1];
        if (!falls_through) a_.jmp(*label);
        return;
    }
    to_canonical();
    if (!is_linkable(offset) || !techniques_.links) return leave_page(offset);
    link_site(static_cast<uint16_t>(offset));
}

// One instruction that does nothing, of up to three bytes.
void Emitter::pad(size_t bytes) {
    constexpr std::array<std::array<uint8_t, 3>, 4> kNothing = {{{}, {0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0x00}}};
    a_.embed(kNothing[bytes].data(), bytes);
}

// A jump that is linked once its target has code; until then it goes to the way out behind it.
void Emitter::link_site(uint16_t target, asmjit::InstId instruction) {
    // The displacement is patched while others may run it, so it does not cross what the host writes at once.
    constexpr size_t kDisplacement = 4;
    const bool is_conditional = instruction != x86::Inst::kIdJmp && instruction != x86::Inst::kIdCall;
    const size_t opcode = is_conditional ? 2 : 1;
    pad((0 - a_.offset() - opcode) % kDisplacement);
    Label out = a_.newLabel();
    a_.long_().emit(instruction, out);
    auto at = static_cast<uint32_t>(a_.offset() - kDisplacement);
    const bool crosses = a_.currentSection() == holder_.textSection();
    cold([=, this] {
        a_.bind(out);
        a_.call(native(offsetof(NativeState, exit_link)));
        auto here = static_cast<uint32_t>(a_.offset());
        note(target);
        if (crosses) link_notes_.push_back(static_cast<uint32_t>(a_.offset()) + kNoteOperand);
        note(at - here);
    });
}

void Emitter::leave_page(int64_t offset) {
    a_.mov(gpq(reg::kRax), native(offsetof(NativeState, page)));
    a_.add(gpq(reg::kRax), imm(offset));
    jump_to_address(reg::kRax);
}

// The address is in rax, the mapping canonical.
void Emitter::jump_to_address(int pc) {
    const Label miss = find_code(pc);
    a_.jmp(jump_slot(reg::kRdx, reg::kRcx, offsetof(JumpSlot, code)));
    cold([=, this] {
        a_.bind(miss);
        a_.jmp(native(offsetof(NativeState, exit_lookup)));
    });
}

void Emitter::call_address(int pc) {
    const Label miss = find_code(pc);
    Label back = a_.newLabel();
    a_.call(jump_slot(reg::kRdx, reg::kRcx, offsetof(JumpSlot, code)));
    a_.bind(back);
    cold([=, this] {
        a_.bind(miss);
        a_.call(native(offsetof(NativeState, exit_lookup)));
        a_.jmp(back);
    });
}

// rdx and rcx become the address of the JumpSlot for `pc`, and the page is that of `pc`; where the slot is another
// one's it goes on at the label.
asmjit::Label Emitter::find_code(int pc) {
    Label miss = a_.newLabel();
    a_.mov(gpq(reg::kRdx), native(offsetof(NativeState, jumps)));
    find_jump_slot(a_, reg::kRcx, pc, host_);
    a_.cmp(gpq(pc), jump_slot(reg::kRdx, reg::kRcx, offsetof(JumpSlot, pc)));
    a_.jne(miss);
    a_.and_(gpq(pc), imm(-kPageBytes));
    a_.mov(native(offsetof(NativeState, page)), gpq(pc));
    return miss;
}

void Emitter::leave_by(const void* const NativeState::*exit, uint32_t at) {
    static const NativeState layout;
    auto offset =
        static_cast<size_t>(reinterpret_cast<const char*>(&(layout.*exit)) - reinterpret_cast<const char*>(&layout));
    to_canonical();
    a_.call(native(offset));
    note(at);
}

// Temporaries are free and flags do not matter here, except rax, which may hold an address.
void Emitter::to_canonical() {
    if (is_canonical_) return;
    constexpr Mapping canonical = canonical_mapping();
    for (int n = 0; n < kFloatHomes; n++) {
        auto i = static_cast<size_t>(n);
        if (mapping_.floating[i] >= 0) a_.movsd(home_memory(kFloatHomes + n), xmm(mapping_.floating[i]));
        if (mapping_.integer[i] >= 0 && mapping_.integer[i] != canonical.integer[i]) {
            a_.mov(home_memory(n), gpq(mapping_.integer[i]));
        }
    }
    for (int n = 0; n < kFloatHomes; n++) {
        auto i = static_cast<size_t>(n);
        if (canonical.integer[i] >= 0 && mapping_.integer[i] != canonical.integer[i]) {
            a_.mov(gpq(canonical.integer[i]), home_memory(n));
        }
    }
}

void Emitter::from_canonical() {
    constexpr Mapping canonical = canonical_mapping();
    for (int n = 0; n < kFloatHomes; n++) {
        auto i = static_cast<size_t>(n);
        if (canonical.integer[i] >= 0 && mapping_.integer[i] != canonical.integer[i]) {
            a_.mov(home_memory(n), gpq(canonical.integer[i]));
        }
    }
    for (int n = 0; n < kFloatHomes; n++) {
        auto i = static_cast<size_t>(n);
        if (mapping_.floating[i] >= 0) a_.movsd(xmm(mapping_.floating[i]), home_memory(kFloatHomes + n));
        if (mapping_.integer[i] >= 0 && mapping_.integer[i] != canonical.integer[i]) {
            a_.mov(gpq(mapping_.integer[i]), home_memory(n));
        }
    }
}

}  // namespace doppel::translate::x86
