// Evaluates instruction definitions (isa/riscv/semantics.h) over concrete values, on the state of a Runner.
#pragma once

#include <cstring>

#include "cpu/interpret/dispatch.h"
#include "cpu/interpret/runner.h"
#include "cpu/interpret/vector_access.h"
#include "isa/concrete.h"
#include "isa/float/float.h"
#include "isa/riscv/operands.h"

namespace doppel::cpu::interpret {

class Evaluator {
  public:
    template <unsigned N>
    using Word = isa::Concrete<N>;
    using Hart = isa::riscv::Hart;

    Evaluator(Hart& hart, const Op* op, Runner& runner) : hart_(hart), op_(op), runner_(runner) {}

    // What the definition asked for, when it is done.
    bool left() const { return left_; }      // trapped, or left the block otherwise
    bool jumped() const { return jumped_; }  // go on at target()
    uint64_t target() const { return target_; }

    template <unsigned N>
    static constexpr Word<N> constant(typename Word<N>::U value) {
        return Word<N>(value);
    }

    Word<64> x(unsigned n) const { return Word<64>(hart_.x[n]); }
    void set_x(unsigned n, Word<64> value) { hart_.x[n] = value.bits; }
    Word<64> raw_f(unsigned n) const { return Word<64>(hart_.f[n]); }
    void set_raw_f(unsigned n, Word<64> value) {
        hart_.f[n] = value.bits;
        hart_.csr.mstatus |= isa::riscv::mstatus::kFs;
    }
    template <class F>
    Word<F::kWidth> f(unsigned n) const {
        if constexpr (F::kWidth == 32) return Word<32>(isa::fp::unbox32(hart_.f[n]));
        if constexpr (F::kWidth == 64) return Word<64>(hart_.f[n]);
    }
    template <class F>
    void set_f(unsigned n, Word<F::kWidth> value) {
        if constexpr (F::kWidth == 32) set_raw_f(n, Word<64>(isa::fp::box32(value.bits)));
        if constexpr (F::kWidth == 64) set_raw_f(n, value);
    }

    Word<64> pc() const { return Word<64>(runner_.pc_of(op_)); }
    Word<64> next_pc() const { return Word<64>(runner_.pc_of(op_ + 1)); }
    void jump(Word<64> target) {
        jumped_ = true;
        target_ = target.bits;
    }
    void branch_if(Word<1> condition, int32_t offset) {
        jump(condition.bits ? pc() + Word<64>(static_cast<uint64_t>(static_cast<int64_t>(offset))) : next_pc());
    }

    template <unsigned N, class K>
    [[gnu::always_inline]] void load(Word<64> address, K k) {
        typename Word<N>::U value;
        if (const uint8_t* host = runner_.readable(address.bits, N / 8)) [[likely]] {
            std::memcpy(&value, host, sizeof value);
        } else {
            uint64_t wide = 0;
            if (!runner_.load_slow(op_, address.bits, N / 8, wide)) return leave();
            value = static_cast<typename Word<N>::U>(wide);
        }
        k(Word<N>(value));
    }
    template <unsigned N>
    [[gnu::always_inline]] void store(Word<64> address, Word<N> value) {
        if (uint8_t* host = runner_.writable(address.bits, N / 8)) [[likely]] {
            std::memcpy(host, &value.bits, sizeof value.bits);
        } else if (!runner_.store_slow(op_, address.bits, N / 8, value.bits)) {
            leave();
        }
    }

    template <unsigned N, class K>
    void load_reserved(Word<64> address, K k) {
        auto* host = atomic_host<N>(address.bits, isa::riscv::Access::kLoad);
        if (host == nullptr) return leave();
        auto value = __atomic_load_n(host, __ATOMIC_SEQ_CST);
        hart_.reservation = {address.bits, value, N / 8};
        k(Word<N>(value));
    }
    template <unsigned N, class K>
    void store_conditional(Word<64> address, Word<N> value, K k) {
        auto* host = atomic_host<N>(address.bits, isa::riscv::Access::kStore);
        if (host == nullptr) return leave();
        auto& reservation = hart_.reservation;
        bool stored = false;
        if (reservation.bytes == N / 8 && reservation.address == address.bits) {
            auto expected = static_cast<typename Word<N>::U>(reservation.value);
            stored =
                __atomic_compare_exchange_n(host, &expected, value.bits, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        }
        runner_.finish_atomic();
        reservation.bytes = 0;
        k(Word<64>(stored ? 0 : 1));
    }
    template <unsigned N, class K>
    void atomic(isa::riscv::AtomicOperation operation, Word<64> address, Word<N> operand, K k) {
        auto* host = atomic_host<N>(address.bits, isa::riscv::Access::kStore);
        if (host == nullptr) return leave();
        auto old = __atomic_load_n(host, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(host, &old, isa::riscv::combine(operation, Word<N>(old), operand).bits,
                                            true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
        runner_.finish_atomic();
        k(Word<N>(old));
    }
    void fence(int32_t) { std::atomic_thread_fence(std::memory_order_seq_cst); }

    template <class K>
    void with_float(K k) {
        if (!hart_.float_enabled()) [[unlikely]]
            return illegal();
        k();
    }
    template <class K>
    void with_rounding(unsigned rm, K k) {
        constexpr unsigned kDynamic = 7, kLast = 4;
        unsigned mode = rm == kDynamic ? hart_.csr.frm : rm;
        if (!hart_.float_enabled() || mode > kLast) [[unlikely]]
            return illegal();
        k(static_cast<isa::fp::Rounding>(mode));
    }
    template <auto Function, class... Words>
    auto rounded(isa::fp::Rounding rounding, Words... words) {
        isa::fp::Flags flags = hart_.csr.fflags;  // functions are faster when they know what is accrued
        auto result = Function(argument<Function>(words)..., rounding, flags);
        accrue(flags);
        return as_word(result);
    }
    template <auto Function, class... Words>
    auto flagged(Words... words) {
        isa::fp::Flags flags = hart_.csr.fflags;
        auto result = Function(words.bits..., flags);
        accrue(flags);
        return as_word(result);
    }
    template <auto Function, class... Words>
    auto pure(Words... words) {
        return as_word(Function(words.bits...));
    }

    template <auto Function, class K, class... Arguments>
    void system(K k, Arguments... arguments) {
        if (!runner_.before_system(op_)) [[unlikely]]
            return leave();
        auto context = runner_.system_context();
        isa::riscv::SystemResult result = Function(context, bits_of(arguments)...);
        using Outcome = isa::riscv::SystemResult::Outcome;
        if (result.outcome == Outcome::kNext) return k(Word<64>(result.value));
        runner_.leave_by(op_, result);
        leave();
    }
    template <auto Function, class K>
    void vector(isa::riscv::vector::VectorOperands operands, Word<64> scalar, Word<64> stride, K k) {
        operands.scalar = scalar.bits;
        operands.stride = stride.bits;
        finish_vector(execute_vector(hart_, runner_, op_, *Function, operands), k);
    }
    template <auto Function, class K, class... Arguments>
    void configure_vector(K k, Arguments... arguments) {
        finish_vector(Function(hart_, bits_of(arguments)...), k);
    }
    void illegal() {
        runner_.illegal(op_);
        leave();
    }

  private:
    void leave() { left_ = true; }
    template <class K>
    void finish_vector(const isa::riscv::vector::VectorResult& result, K k) {
        using Outcome = isa::riscv::vector::VectorResult::Outcome;
        if (result.outcome == Outcome::kDone) return k(Word<64>(result.value));
        if (result.outcome == Outcome::kIllegal) return illegal();
        leave();
    }

    template <unsigned N>
    typename Word<N>::U* atomic_host(uint64_t va, isa::riscv::Access access) {
        uint8_t* host = va % (N / 8) != 0                     ? nullptr
                        : access == isa::riscv::Access::kLoad ? runner_.readable(va, N / 8)
                                                              : runner_.writable(va, N / 8);
        if (host == nullptr) host = runner_.atomic_slow(op_, va, N / 8, access);
        return reinterpret_cast<typename Word<N>::U*>(host);
    }
    void accrue(isa::fp::Flags flags) {
        if (flags == hart_.csr.fflags) return;
        hart_.csr.fflags = static_cast<uint8_t>(flags);
        hart_.csr.mstatus |= isa::riscv::mstatus::kFs;
    }
    // A function's first parameter may be signed (integer conversions); words carry unsigned bits of the same width.
    template <class R, class A, class... Rest>
    static A first_parameter(R (*)(A, Rest...));
    template <auto Function, class W>
    static auto argument(W word) {
        return static_cast<decltype(first_parameter(Function))>(word.bits);
    }
    template <class T>
    static auto as_word(T value) {
        if constexpr (std::is_same_v<T, bool>) {
            return Word<1>(value);
        } else {
            return Word<8 * sizeof(T)>(static_cast<std::make_unsigned_t<T>>(value));
        }
    }
    template <unsigned N>
    static auto bits_of(Word<N> word) {
        return word.bits;
    }
    template <class T>
    static T bits_of(T plain) {
        return plain;
    }

    Hart& hart_;
    const Op* op_;
    Runner& runner_;
    bool left_ = false;
    bool jumped_ = false;
    uint64_t target_ = 0;
};

}  // namespace doppel::cpu::interpret
