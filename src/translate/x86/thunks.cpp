#include "translate/x86/thunks.h"

#include "translate/x86/registers.h"

namespace doppel::translate::x86 {

namespace x86 = asmjit::x86;
using asmjit::imm;

namespace {

// The System V calling convention.
constexpr std::array<int8_t, 6> kCalleeSaved = {reg::kRbx, reg::kRbp, 12, 13, 14, 15};
constexpr std::array<int8_t, 9> kCallerSaved = {reg::kRax, reg::kRcx, reg::kRdx, reg::kRsi, reg::kRdi, 8, 9, 10, 11};
constexpr int kXmmBytes = 16 * 16;
// What may hold a value or a guest register.
constexpr std::array<int8_t, 12> kInUse = {reg::kRax, reg::kRcx, reg::kRdx, reg::kRbp, reg::kRsi, reg::kRdi,
                                           8,         9,         10,        11,        12,        13};
constexpr int kFrameRegisters = 15;  // one more than there are, which with the return address aligns the stack

class Maker {
  public:
    explicit Maker(const Layout& layout) : layout_(layout) {
        holder_.init(asmjit::Environment(asmjit::Arch::kX64));
        holder_.attach(&a_);
    }

    Thunks make() {
        Thunks made;
        out_ = a_.newLabel();
        made.enter = begin();
        emit_enter();
        made.exit_lookup = begin();
        emit_far_jump();
        emit_reason(Exit::kLookup);
        made.exit_link = begin();
        a_.pop(x86::rax);
        a_.movsxd(x86::rcx, note(1));
        a_.add(x86::rcx, x86::rax);
        a_.mov(native(offsetof(NativeState, site)), x86::rcx);
        emit_position();
        emit_reason(Exit::kLink);
        made.exit_budget = begin();
        a_.pop(x86::rax);
        emit_position();
        emit_reason(Exit::kBudget);
        made.exit_interpret = begin();
        a_.pop(x86::rax);
        emit_position();
        emit_reason(Exit::kInterpret);
        made.exit_resume = begin();
        a_.pop(x86::rax);
        emit_position();
        emit_reason(Exit::kResume);
        made.exit_access = begin();
        emit_reason(Exit::kAccess);
        a_.bind(out_);
        emit_exit();
        made.fill = begin();
        emit_fill(false);
        made.fill_float = begin();
        emit_fill(true);
        made.call_float = begin();
        emit_call(true);
        made.call = begin();
        emit_call(false);
        const asmjit::CodeBuffer& buffer = holder_.textSection()->buffer();
        made.code.assign(buffer.data(), buffer.data() + buffer.size());
        return made;
    }

  private:
    uint32_t begin() {
        a_.align(asmjit::AlignMode::kCode, 16);
        return static_cast<uint32_t>(a_.offset());
    }
    x86::Mem native(size_t offset, uint32_t size = 8) const {
        return x86::Mem(gpq(reg::kState), layout_.native + static_cast<int32_t>(offset), size);
    }
    template <class F>
    void each_home(F f) {
        constexpr Mapping mapping = canonical_mapping();
        for (int n = 0; n < 32; n++) {
            int host = mapping.integer[static_cast<size_t>(n)];
            if (host >= 0) f(gpq(host), x86::Mem(gpq(reg::kState), layout_.integers + 8 * n, 8));
        }
    }

    // Translated code runs with the stack aligned as before a call.
    void emit_enter() {
        for (int8_t number : kCalleeSaved) a_.push(gpq(number));
        a_.sub(x86::rsp, imm(8));
        a_.push(imm(kNoReturn));
        a_.push(imm(0));
        a_.mov(gpq(reg::kState), x86::rdi);
        a_.mov(native(offsetof(NativeState, returns)), x86::rsp);
        a_.mov(x86::rax, x86::rsi);
        a_.stmxcsr(native(offsetof(NativeState, host_mxcsr), 4));
        a_.ldmxcsr(native(offsetof(NativeState, guest_mxcsr), 4));
        a_.mov(gpq(reg::kBudget), native(offsetof(NativeState, budget)));
        a_.mov(gpq(reg::kTlb), native(offsetof(NativeState, tlb)));
        each_home([&](x86::Gp host, const x86::Mem& home) { a_.mov(host, home); });
        a_.jmp(x86::rax);
    }

    void emit_exit() {
        each_home([&](x86::Gp host, const x86::Mem& home) { a_.mov(home, host); });
        a_.mov(native(offsetof(NativeState, budget)), gpq(reg::kBudget));
        a_.stmxcsr(native(offsetof(NativeState, guest_mxcsr), 4));
        a_.ldmxcsr(native(offsetof(NativeState, host_mxcsr), 4));
        a_.mov(x86::rsp, native(offsetof(NativeState, returns)));
        a_.add(x86::rsp, imm(8 * kReturnWords + 8));
        for (size_t i = kCalleeSaved.size(); i-- > 0;) a_.pop(gpq(kCalleeSaved[i]));
        a_.ret();
    }

    // ---- Ways out. The note is behind rax.

    static x86::Mem note(int word) { return x86::ptr(x86::rax, word * kNoteBytes + kNoteOperand, 4); }
    void emit_position() {
        a_.mov(x86::ecx, note(0));
        a_.mov(native(offsetof(NativeState, position), 4), x86::ecx);
    }
    void emit_reason(Exit reason) {
        a_.mov(x86::eax, imm(static_cast<uint32_t>(reason)));
        a_.jmp(out_);
    }

    // A jump to the address in rax, which is not in its JumpSlot: what the far ones know goes there.
    void emit_far_jump() {
        constexpr unsigned kSlotShift = 5;
        static_assert(sizeof(FarJumpSlot) == 1 << kSlotShift);
        asmjit::Label miss = a_.newLabel();
        a_.mov(native(offsetof(NativeState, target)), x86::rax);
        a_.mov(x86::rdx, x86::rax);
        a_.mov(x86::rcx, x86::rax);
        a_.shr(x86::rdx, imm(kFarJumpFold));
        a_.shr(x86::rcx, imm(1));
        a_.xor_(x86::ecx, x86::edx);
        a_.mov(x86::rdx, native(offsetof(NativeState, jump_key)));
        a_.xor_(x86::ecx, x86::edx);
        a_.and_(x86::ecx, imm(kFarJumpSlots - 1));
        a_.shl(x86::ecx, imm(kSlotShift));
        a_.add(x86::rcx, native(offsetof(NativeState, far_jumps)));
        a_.cmp(x86::rax, x86::ptr(x86::rcx, offsetof(FarJumpSlot, pc), 8));
        a_.jne(miss);
        a_.cmp(x86::rdx, x86::ptr(x86::rcx, offsetof(FarJumpSlot, key), 8));
        a_.jne(miss);
        a_.mov(x86::rdx, x86::ptr(x86::rcx, offsetof(FarJumpSlot, code), 8));
        a_.mov(x86::rdi, native(offsetof(NativeState, jumps)));
        find_jump_slot(a_, reg::kRcx, reg::kRax, kOldestHost);
        a_.mov(jump_slot(reg::kRdi, reg::kRcx, offsetof(JumpSlot, pc)), x86::rax);
        a_.mov(jump_slot(reg::kRdi, reg::kRcx, offsetof(JumpSlot, code)), x86::rdx);
        a_.and_(x86::rax, imm(-4096));
        a_.mov(native(offsetof(NativeState, page)), x86::rax);
        a_.jmp(x86::rdx);
        a_.bind(miss);
    }

    // ---- Calls. What code has in registers stays there.

    void save_floats() {
        a_.sub(x86::rsp, imm(kXmmBytes));
        for (int i = 0; i < 16; i++) a_.movups(x86::ptr(x86::rsp, 16 * i), xmm(i));
    }
    void restore_floats() {
        for (int i = 0; i < 16; i++) a_.movups(xmm(i), x86::ptr(x86::rsp, 16 * i));
        a_.add(x86::rsp, imm(kXmmBytes));
    }

    // The function sees the registers as an array on the stack, and says where to return to.
    void emit_fill(bool floats) {
        constexpr int kFrameBytes = 8 * kFrameRegisters;
        a_.sub(x86::rsp, imm(kFrameBytes));
        for (int8_t number : kInUse) a_.mov(x86::ptr(x86::rsp, 8 * number, 8), gpq(number));
        a_.mov(x86::rdi, native(offsetof(NativeState, engine)));
        a_.mov(x86::rsi, x86::rsp);
        a_.mov(x86::rdx, x86::ptr(x86::rsp, kFrameBytes, 8));
        if (floats) save_floats();
        a_.call(native(offsetof(NativeState, fill_function)));
        if (floats) restore_floats();
        a_.mov(x86::ptr(x86::rsp, kFrameBytes, 8), x86::rax);
        a_.mov(gpq(reg::kTlb), native(offsetof(NativeState, tlb)));  // it may have grown
        for (int8_t number : kInUse) a_.mov(gpq(number), x86::ptr(x86::rsp, 8 * number, 8));
        a_.add(x86::rsp, imm(kFrameBytes));
        a_.ret();
    }

    // helper(state, arguments, rounding), for one with floating point in the host's environment.
    void emit_call(bool floats) {
        // Nine registers and the return address keep the stack aligned.
        for (int8_t number : kCallerSaved) a_.push(gpq(number));
        a_.lea(x86::rax, x86::ptr(x86::rsp, 8 * (kCallerSaved.size() + 1)));
        a_.mov(native(offsetof(NativeState, last_return)), x86::rax);
        if (floats) {
            save_floats();
            a_.stmxcsr(native(offsetof(NativeState, guest_mxcsr), 4));
            a_.ldmxcsr(native(offsetof(NativeState, host_mxcsr), 4));
        }
        a_.mov(x86::rdi, gpq(reg::kState));
        a_.lea(x86::rsi, native(offsetof(NativeState, arguments)));
        a_.mov(x86::rdx, native(offsetof(NativeState, arguments) + 24));
        a_.mov(x86::rax, native(offsetof(NativeState, anchor)));
        a_.add(x86::rax, native(offsetof(NativeState, helper)));
        a_.call(x86::rax);
        a_.mov(native(offsetof(NativeState, result)), x86::rax);
        a_.mov(gpq(reg::kTlb), native(offsetof(NativeState, tlb)));  // it may have grown
        if (floats) {
            a_.ldmxcsr(native(offsetof(NativeState, guest_mxcsr), 4));
            restore_floats();
        }
        for (size_t i = kCallerSaved.size(); i-- > 0;) a_.pop(gpq(kCallerSaved[i]));
        a_.ret();
    }

    const Layout& layout_;
    asmjit::CodeHolder holder_;
    x86::Assembler a_;
    asmjit::Label out_;
};

}  // namespace

void find_jump_slot(x86::Assembler& a, int index, int pc, const HostFeatures& host) {
    // A slot for each even address, and its index counts in bytes of the address.
    static_assert(sizeof(JumpSlot) == 2 << kJumpScaleShift);
    constexpr int32_t kIndexMask = (kJumpSlots - 1) << 1;
    if (host.bmi2) {
        a.rorx(gpd(index), gpd(pc), imm(kJumpFold));
    } else {
        a.mov(gpd(index), gpd(pc));
        a.shr(gpd(index), imm(kJumpFold));
    }
    a.xor_(gpd(index), gpd(pc));
    a.and_(gpd(index), imm(kIndexMask));
}

Thunks make_thunks(const Layout& layout) {
    return Maker(layout).make();
}

void connect(NativeState& state, const Thunks& thunks, const uint8_t* base) {
    state.exit_budget = base + thunks.exit_budget;
    state.exit_lookup = base + thunks.exit_lookup;
    state.exit_link = base + thunks.exit_link;
    state.exit_interpret = base + thunks.exit_interpret;
    state.exit_access = base + thunks.exit_access;
    state.exit_resume = base + thunks.exit_resume;
    state.fill = base + thunks.fill;
    state.fill_float = base + thunks.fill_float;
    state.call_float = base + thunks.call_float;
    state.call = base + thunks.call;
}

}  // namespace doppel::translate::x86
