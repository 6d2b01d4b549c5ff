// Evaluates instruction definitions (isa/riscv/semantics.h) by recording them as intermediate representation.
#pragma once

#include <string_view>
#include <utility>

#include "cpu/translate/helpers.h"
#include "cpu/translate/vector_calls.h"
#include "isa/float/float.h"
#include "isa/riscv/csr.h"
#include "isa/riscv/decode.h"
#include "isa/riscv/operands.h"
#include "isa/riscv/semantics_atomic.h"
#include "isa/riscv/system.h"
#include "isa/riscv/vector.h"
#include "translate/techniques.h"
#include "translate/value.h"

namespace doppel::cpu::translate {

// What a translation presumes of the hart's state besides the code.
struct CodeMode {
    bool float_enabled = false;
    uint8_t rounding = 0;  // frm
    bool operator==(const CodeMode&) const = default;
    uint8_t number() const { return static_cast<uint8_t>(rounding << 1 | (float_enabled ? 1 : 0)); }
};

class Recorder {
  public:
    using Builder = doppel::translate::Builder;
    using Operation = doppel::translate::Operation;
    using Type = doppel::translate::Type;
    template <unsigned N>
    using Word = doppel::translate::Value<N>;

    Recorder(Builder& builder, CodeMode mode, const doppel::translate::Techniques& techniques)
        : builder_(builder), mode_(mode), techniques_(techniques) {}

    // The instruction at `offset` of the page, `length` bytes long, is recorded next.
    // `linkage`: Node::extra of its jump.
    void begin(uint16_t offset, unsigned length, std::string_view mnemonic, uint8_t linkage) {
        linkage_ = linkage;
        mnemonic_ = mnemonic;
        offset_ = offset;
        length_ = length;
        builder_.begin_instruction(offset);
    }
    bool ended() const { return ended_; }
    // Goes on behind the last instruction.
    void end_by_falling_through() { end({.operation = Operation::kJump, .imm = next_offset()}); }

    template <unsigned N>
    Word<N> constant(uint64_t value) {
        return {&builder_, builder_.constant(Word<N>::kType, value)};
    }
    Word<64> x(unsigned n) { return {&builder_, builder_.get_integer(n)}; }
    void set_x(unsigned n, Word<64> value) { builder_.set_integer(n, value.id); }
    Word<64> raw_f(unsigned n) { return {&builder_, builder_.get_float(n)}; }
    void set_raw_f(unsigned n, Word<64> value) { builder_.set_float(n, value.id); }
    template <class F>
    Word<F::kWidth> f(unsigned n) {
        if constexpr (F::kWidth == 64) {
            return raw_f(n);
        } else {
            return {&builder_, builder_.unary(Operation::kUnbox, Type::kI32, raw_f(n).id)};
        }
    }
    template <class F>
    void set_f(unsigned n, Word<F::kWidth> value) {
        if constexpr (F::kWidth == 64) {
            set_raw_f(n, value);
        } else {
            set_raw_f(n, {&builder_, builder_.unary(Operation::kBox, Type::kI64, value.id)});
        }
    }

    Word<64> pc() { return {&builder_, builder_.page_plus(offset_)}; }
    Word<64> next_pc() { return {&builder_, builder_.page_plus(next_offset())}; }
    void jump(Word<64> target) {
        Node node = jump_node(target.id);
        const bool returns = linkage_ == doppel::translate::kReturn;
        if (techniques_.returns && (returns || next_offset() < isa::riscv::kPageBytes)) {
            node.extra = linkage_;
            if (linkage_ != 0 && !returns) node.other = static_cast<int32_t>(next_offset());
        }
        end(node);
    }
    void branch_if(Word<1> condition, int32_t offset) {
        auto taken = static_cast<uint64_t>(int64_t{offset_} + offset);
        if (builder_.is_constant(condition.id)) {
            return end({.operation = Operation::kJump,
                        .imm = builder_.constant_of(condition.id) != 0 ? taken : next_offset()});
        }
        uint64_t other = next_offset();
        doppel::translate::ValueId id = condition.id;
        if (auto inverse = builder_.inverse_of(id)) {
            id = inverse;
            std::swap(taken, other);
        }
        end({.operation = Operation::kBranch, .a = id, .imm = taken, .other = static_cast<int32_t>(other)});
    }

    template <unsigned N, class K>
    void load(Word<64> address, K k) {
        k(Word<N>{&builder_, builder_.load(N, address.id)});
    }
    template <unsigned N>
    void store(Word<64> address, Word<N> value) {
        builder_.store(N, address.id, value.id);
    }
    template <unsigned N, class K>
    void load_reserved(Word<64> address, K k) {
        k(Word<N>{&builder_, builder_.access(Operation::kLoadReserved, Word<N>::kType, address.id, 0)});
    }
    template <unsigned N, class K>
    void store_conditional(Word<64> address, Word<N> value, K k) {
        k(Word<64>{&builder_, builder_.access(Operation::kStoreConditional, Type::kI64, address.id, value.id)});
    }
    template <unsigned N, class K>
    void atomic(isa::riscv::AtomicOperation operation, Word<64> address, Word<N> operand, K k) {
        auto wanted =
            static_cast<Operation>(static_cast<uint8_t>(Operation::kAtomicSwap) + static_cast<uint8_t>(operation));
        k(Word<N>{&builder_, builder_.access(wanted, Word<N>::kType, address.id, operand.id)});
    }
    // On a host that keeps all other orders by itself only stores before loads need one.
    void fence(int32_t sets) {
        constexpr int32_t kPredecessorWrites = 0x50, kSuccessorReads = 0x0a;  // of memory and devices
        if ((sets & kPredecessorWrites) != 0 && (sets & kSuccessorReads) != 0) {
            builder_.add({.operation = Operation::kFence});
        }
    }

    template <class K>
    void with_float(K k) {
        if (!mode_.float_enabled) return illegal();
        k();
    }
    template <class K>
    void with_rounding(unsigned rm, K k) {
        constexpr unsigned kDynamic = 7, kLast = 4;
        unsigned mode = rm == kDynamic ? mode_.rounding : rm;
        if (!mode_.float_enabled || mode > kLast) return illegal();
        k(static_cast<isa::fp::Rounding>(mode));
    }
    template <auto Function, class... Words>
    auto rounded(isa::fp::Rounding rounding, Words... words) {
        using Result = typename Helper<Function>::Result;
        if (auto operation = inline_operation<Function>(rounding)) {
            return record<Result>({.operation = *operation, .extra = static_cast<uint8_t>(rounding)}, words...);
        }
        return record<Result>({.operation = Operation::kCallFloat,
                               .extra = static_cast<uint8_t>(rounding),
                               .imm = helper_offset(&Helper<Function>::call)},
                              words...);
    }
    template <auto Function, class... Words>
    auto flagged(Words... words) {
        using Result = typename Helper<Function>::Result;
        if (auto operation = inline_operation<Function>(isa::fp::Rounding::kNearestEven)) {
            return record<Result>({.operation = *operation}, words...);
        }
        return record<Result>({.operation = Operation::kCallFloat, .imm = helper_offset(&Helper<Function>::call)},
                              words...);
    }
    template <auto Function, class... Words>
    auto pure(Words... words) {
        return record<typename Helper<Function>::Result>(
            {.operation = Operation::kCall, .imm = helper_offset(&Helper<Function>::call)}, words...);
    }

    // What is frequent calls the function, or is recorded; the rest is the interpreter's.
    template <auto Function, class K, class... Arguments>
    void system(K k, Arguments... arguments) {
        if (!techniques_.system_calls) return illegal();
        if constexpr (is<Function, &isa::riscv::csr_access>) {
            access_csr(k, arguments...);
        } else if constexpr (is<Function, &isa::riscv::cache_block_zero>) {
            zero_block(arguments...);
        } else if constexpr (is<Function, &isa::riscv::fence_translations>) {
            fence_translations(arguments...);
        } else if constexpr (is<Function, &isa::riscv::pause>) {
            call_system<Function>();
        } else if constexpr (is<Function, &isa::riscv::fence_instructions>) {
            call_system<Function>();
            resume();
        } else {
            illegal();
        }
    }
    template <auto Function, class K>
    void vector(const isa::riscv::vector::VectorOperands& operands, Word<64> scalar, Word<64> stride, K k) {
        k(call<&VectorHelper<Function>::call>(mnemonic_.starts_with("vf") || mnemonic_.starts_with("vmf"), scalar,
                                              stride, constant<64>(packed(operands))));
    }
    template <auto Function, class K, class... Arguments>
    void configure_vector(K k, Arguments... arguments) {
        k(call<&ConfigureHelper<Function>::call>(false, arguments...));
    }
    void illegal() { end({.operation = Operation::kInterpret}); }

  private:
    template <auto Function>
    std::optional<Operation> inline_operation(isa::fp::Rounding rounding) const {
        return techniques_.inline_floats ? float_operation<Function>(rounding) : std::nullopt;
    }
    template <class K>
    void access_csr(K k, uint32_t number, isa::riscv::CsrOperation operation, Word<64> operand) {
        using isa::riscv::CsrOperation;
        bool reads = operation == CsrOperation::kRead;
        if (mode_.float_enabled && number == isa::riscv::csr_number::kFrm && reads) {
            return k(constant<64>(mode_.rounding));
        }
        if (!mode_.float_enabled || number != isa::riscv::csr_number::kFflags) {
            k(call_system<&isa::riscv::csr_access>(constant<64>(number), constant<64>(static_cast<uint64_t>(operation)),
                                                   operand));
            if (!reads) resume();
            return;
        }
        Word<64> old{&builder_, builder_.add({.operation = Operation::kGetFlags, .type = Type::kI64})};
        if (!reads) {
            Word<64> bits = operation == CsrOperation::kSet     ? old | operand
                            : operation == CsrOperation::kClear ? old & ~operand
                                                                : operand;
            builder_.note_float_write();
            builder_.add({.operation = Operation::kSetFlags, .a = bits.id});
        }
        k(old);
    }

    // As stores, which find the page as other stores do, with the same outcome: a block never crosses a page.
    void zero_block(Word<64> address) {
        builder_.add({.operation = Operation::kZeroing});
        Word<64> block = address & constant<64>(~uint64_t{isa::riscv::kCacheBlockBytes - 1});
        for (uint64_t at = 0; at < isa::riscv::kCacheBlockBytes; at += 8) {
            store(block + constant<64>(at), constant<64>(0));
        }
    }

    template <bool kAllAddresses, bool kAllSpaces>
    static isa::riscv::SystemResult fence(isa::riscv::SystemContext& context, uint64_t address, uint64_t space) {
        return isa::riscv::fence_translations(context, address, kAllAddresses, space, kAllSpaces);
    }
    void fence_translations(Word<64> address, bool all_addresses, Word<64> space, bool all_spaces) {
        if (all_addresses) {
            all_spaces ? call_system<&fence<true, true>>(address, space)
                       : call_system<&fence<true, false>>(address, space);
        } else {
            all_spaces ? call_system<&fence<false, true>>(address, space)
                       : call_system<&fence<false, false>>(address, space);
        }
        resume();
    }

    template <auto A, auto B>
    static constexpr bool is =
        std::is_same_v<std::integral_constant<decltype(A), A>, std::integral_constant<decltype(B), B>>;
    // What may refuse.
    template <auto Function, class... Words>
    Word<64> call(bool uses_float, Words... words) {
        return record<uint64_t>({.operation = Operation::kSystem,
                                 .extra = static_cast<uint8_t>(uses_float ? 0 : 1),
                                 .imm = helper_offset(Function)},
                                words...);
    }
    template <auto Function, class... Words>
    Word<64> call_system(Words... words) {
        return call<&SystemHelper<Function>::call>(true, words...);
    }
    // Behind what may change what the code presumes.
    void resume() { end({.operation = Operation::kResume, .imm = next_offset()}); }

    using Node = doppel::translate::Node;
    uint64_t next_offset() const { return uint64_t{offset_} + length_; }
    void end(const Node& node) {
        builder_.add(node);
        ended_ = true;
    }
    Node jump_node(doppel::translate::ValueId target) const {
        if (auto offset = builder_.page_offset(target)) return {.operation = Operation::kJump, .imm = *offset};
        return {.operation = Operation::kJumpTo, .a = target};
    }
    template <class Result, class... Words>
    auto record(Node node, Words... words) {
        constexpr unsigned kBits = std::is_same_v<Result, bool> ? 1 : 8 * sizeof(Result);
        const doppel::translate::ValueId ids[] = {words.id..., 0, 0, 0};
        node.a = ids[0], node.b = ids[1], node.c = ids[2];
        node.type = static_cast<Type>(kBits);
        return Word<kBits>{&builder_, builder_.add(node)};
    }

    Builder& builder_;
    CodeMode mode_;
    const doppel::translate::Techniques& techniques_;
    uint16_t offset_ = 0;
    unsigned length_ = 0;
    uint8_t linkage_ = 0;
    std::string_view mnemonic_;
    bool ended_ = false;
};

// Records one decoded instruction.
void record(Recorder& recorder, isa::riscv::InstructionId id, const isa::riscv::Operands& operands);

}  // namespace doppel::cpu::translate
