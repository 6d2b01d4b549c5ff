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

class Maker {
  public:
    explicit Maker(const Layout& layout) : layout_(layout) {
        holder_.init(asmjit::Environment(asmjit::Arch::kX64));
        holder_.attach(&a_);
    }

    Thunks make() {
        Thunks made;
        made.enter = begin();
        emit_enter();
        const std::pair<uint32_t Thunks::*, Exit> exits[] = {
            {&Thunks::exit_budget, Exit::kBudget}, {&Thunks::exit_lookup, Exit::kLookup},
            {&Thunks::exit_link, Exit::kLink},     {&Thunks::exit_interpret, Exit::kInterpret},
            {&Thunks::exit_access, Exit::kAccess},
        };
        asmjit::Label out = a_.newLabel();
        for (auto [where, reason] : exits) {
            made.*where = begin();
            a_.mov(x86::eax, imm(static_cast<uint32_t>(reason)));
            a_.jmp(out);
        }
        a_.bind(out);
        emit_exit();
        made.fill = begin();
        emit_fill(false);
        made.fill_float = begin();
        emit_fill(true);
        made.call_float = begin();
        emit_call();
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
        a_.mov(gpq(reg::kState), x86::rdi);
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
        a_.add(x86::rsp, imm(8));
        for (size_t i = kCalleeSaved.size(); i-- > 0;) a_.pop(gpq(kCalleeSaved[i]));
        a_.ret();
    }

    // Nine registers and the return address keep the stack aligned.
    void save(bool floats) {
        for (int8_t number : kCallerSaved) a_.push(gpq(number));
        if (!floats) return;
        a_.sub(x86::rsp, imm(kXmmBytes));
        for (int i = 0; i < 16; i++) a_.movups(x86::ptr(x86::rsp, 16 * i), xmm(i));
    }
    // Leaves the flags as they are.
    void restore(bool floats) {
        if (floats) {
            for (int i = 0; i < 16; i++) a_.movups(xmm(i), x86::ptr(x86::rsp, 16 * i));
            a_.lea(x86::rsp, x86::ptr(x86::rsp, kXmmBytes));
        }
        for (size_t i = kCallerSaved.size(); i-- > 0;) a_.pop(gpq(kCallerSaved[i]));
    }

    // Not zero: the page is in the soft TLB now.
    void emit_fill(bool floats) {
        save(floats);
        a_.mov(x86::rdi, native(offsetof(NativeState, engine)));
        a_.mov(x86::rsi, native(offsetof(NativeState, access_address)));
        a_.mov(x86::edx, native(offsetof(NativeState, access_kind), 4));
        a_.call(native(offsetof(NativeState, fill_function)));
        a_.mov(gpq(reg::kTlb), native(offsetof(NativeState, tlb)));  // it may have grown
        a_.test(x86::al, x86::al);
        restore(floats);
        a_.ret();
    }

    // helper(state, arguments, rounding), with the host's floating-point environment.
    void emit_call() {
        save(true);
        a_.stmxcsr(native(offsetof(NativeState, guest_mxcsr), 4));
        a_.ldmxcsr(native(offsetof(NativeState, host_mxcsr), 4));
        a_.mov(x86::rdi, gpq(reg::kState));
        a_.lea(x86::rsi, native(offsetof(NativeState, arguments)));
        a_.mov(x86::rdx, native(offsetof(NativeState, arguments) + 24));
        a_.mov(x86::rax, native(offsetof(NativeState, anchor)));
        a_.add(x86::rax, native(offsetof(NativeState, helper)));
        a_.call(x86::rax);
        a_.mov(native(offsetof(NativeState, result)), x86::rax);
        a_.ldmxcsr(native(offsetof(NativeState, guest_mxcsr), 4));
        restore(true);
        a_.ret();
    }

    const Layout& layout_;
    asmjit::CodeHolder holder_;
    x86::Assembler a_;
};

}  // namespace

Thunks make_thunks(const Layout& layout) {
    return Maker(layout).make();
}

void connect(NativeState& state, const Thunks& thunks, const uint8_t* base) {
    state.exit_budget = base + thunks.exit_budget;
    state.exit_lookup = base + thunks.exit_lookup;
    state.exit_link = base + thunks.exit_link;
    state.exit_interpret = base + thunks.exit_interpret;
    state.exit_access = base + thunks.exit_access;
    state.fill = base + thunks.fill;
    state.fill_float = base + thunks.fill_float;
    state.call_float = base + thunks.call_float;
}

}  // namespace doppel::translate::x86
