// Random blocks of intermediate representation: what definitions of instructions may record, at the widths that they
// use, with more values alive than a host has registers. For tests and fuzzers.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "translate/builder.h"

namespace doppel::translate {

// Decisions from a seed, or from a fuzzer's bytes, behind which everything is 0.
class Choices {
  public:
    explicit Choices(uint64_t seed) : state_(seed) {}
    explicit Choices(std::span<const uint8_t> bytes) : bytes_(bytes), from_bytes_(true) {}

    // Of [0, count), count > 0.
    unsigned below(unsigned count) { return static_cast<unsigned>((count > 256 ? take(4) : take(1)) % count); }
    bool one_in(unsigned count) { return below(count) == 1 % count; }
    uint64_t word() { return take(8); }
    // Numbers near the ends of their ranges come often.
    uint64_t value() {
        unsigned shift = below(64);
        switch (below(8)) {
            case 0:
                return word();
            case 1:
                return uint64_t{1} << shift;
            case 2:
                return (uint64_t{1} << shift) - 1;
            case 3:
                return ~uint64_t{0} << shift;
            case 4:
                return word() >> shift;
            case 5:
                return static_cast<uint64_t>(static_cast<int64_t>(word()) >> shift);
            case 6:
                return word() & 0xffff'ffff;
            default:
                return below(5);
        }
    }

  private:
    // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
    uint64_t random() {
        uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
        z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
        return z ^ z >> 31;
    }
    uint64_t take(unsigned count) {
        if (!from_bytes_) return random() >> (64 - 8 * count);
        uint64_t taken = 0;
        for (; count > 0 && !bytes_.empty(); count--) {
            taken = taken << 8 | bytes_.front();
            bytes_ = bytes_.subspan(1);
        }
        return taken;
    }

    uint64_t state_ = 0;
    std::span<const uint8_t> bytes_;
    bool from_bytes_ = false;
};

struct RandomShape {
    uint64_t data_address = 0;  // accesses go to pages from here on
    unsigned data_pages = 1;
    unsigned blocks = 3;
    uint64_t helper = 0;  // of kCall
};

class RandomBlock {
  public:
    static constexpr uint16_t kSpacing = 0x200;  // from block to block

    // `raw`: what the builder would simplify is there too.
    RandomBlock(Choices& choices, const RandomShape& shape, unsigned index)
        : choices_(choices), shape_(shape), index_(index), builder_(block_), raw_(choices.one_in(2)) {}

    Block make() {
        unsigned instructions = 1 + choices_.below(7);
        for (unsigned i = 0; i < instructions; i++) {
            builder_.begin_instruction(static_cast<uint16_t>(offset(index_) + 4 * i));
            instruction();
        }
        // An instruction of its own: one that is left to the interpreter has written nothing.
        auto last = static_cast<uint16_t>(offset(index_) + 4 * instructions);
        builder_.begin_instruction(last);
        end();
        builder_.finish(static_cast<uint16_t>(last + 4));
        return std::move(block_);
    }

  private:
    static uint16_t offset(unsigned index) { return static_cast<uint16_t>(index * kSpacing); }

    // Nothing is written before the access that may leave the block.
    void instruction() {
        unsigned values = 1 + choices_.below(12);
        for (unsigned i = 0; i < values; i++) compute();
        if (choices_.one_in(2)) access();
        values = choices_.below(4);
        for (unsigned i = 0; i < values; i++) compute();
        unsigned writes = choices_.below(3);
        for (unsigned i = 0; i < writes; i++) write();
    }

    // One of the values so far.
    ValueId pick(Type type) {
        std::vector<ValueId>& known = of(type);
        if (known.empty() || choices_.one_in(6)) known.push_back(fresh(type));
        // Old values are used as well as new ones, so that many live at once.
        return known[choices_.below(static_cast<unsigned>(known.size()))];
    }
    ValueId fresh(Type type) {
        if (type == Type::kI64) {
            switch (choices_.below(5)) {
                case 0:
                    return builder_.constant(type, choices_.value());
                case 1:
                    return builder_.page_plus(choices_.below(1 << 20));
                case 2:
                    return builder_.get_float(choices_.below(32));
                default:
                    return builder_.get_integer(choices_.below(32));
            }
        }
        if (type == Type::kI1) {
            return binary(Operation::kUlt, type, builder_.get_integer(1 + choices_.below(31)), pick(Type::kI64));
        }
        if (choices_.one_in(3)) return builder_.constant(type, choices_.value());
        return unary(Operation::kTrunc, type, pick(Type::kI64));
    }
    std::vector<ValueId>& of(Type type) {
        switch (type) {
            case Type::kI1:
                return bits_;
            case Type::kI8:
                return bytes_;
            case Type::kI16:
                return halves_;
            case Type::kI32:
                return words_;
            default:
                return doubles_;
        }
    }
    void keep(ValueId id) { of(builder_.type_of(id)).push_back(id); }

    ValueId unary(Operation operation, Type type, ValueId a) {
        return raw_ ? builder_.add({.operation = operation, .type = type, .a = a}) : builder_.unary(operation, type, a);
    }
    ValueId binary(Operation operation, Type type, ValueId a, ValueId b) {
        return raw_ ? builder_.add({.operation = operation, .type = type, .a = a, .b = b})
                    : builder_.binary(operation, type, a, b);
    }

    void compute() {
        Type type = choices_.one_in(3) ? Type::kI32 : Type::kI64;
        switch (choices_.below(8)) {
            case 0:
            case 1:
            case 2:
                return compute_binary(type);
            case 3:
                return compute_unary(type);
            case 4:
                return compute_bit();
            case 5: {
                ValueId condition = pick(Type::kI1), a = pick(type), b = pick(type);
                return keep(
                    raw_ ? builder_.add({.operation = Operation::kSelect, .type = type, .a = condition, .b = a, .c = b})
                         : builder_.select(condition, a, b));
            }
            case 6:
                return compute_other();
            default:
                return change_width();
        }
    }
    void compute_binary(Type type) {
        static constexpr Operation kOperations[] = {
            Operation::kAdd,  Operation::kSub,  Operation::kMul,  Operation::kAnd,  Operation::kOr,
            Operation::kXor,  Operation::kShl,  Operation::kShr,  Operation::kSar,  Operation::kRotl,
            Operation::kRotr, Operation::kUdiv, Operation::kUrem, Operation::kSdiv, Operation::kSrem,
        };
        static constexpr Operation kDoubleOperations[] = {Operation::kMulHighUnsigned, Operation::kMulHighSigned,
                                                          Operation::kMulHighSignedUnsigned};
        if (type == Type::kI64 && choices_.one_in(8)) {
            Operation operation = kDoubleOperations[choices_.below(std::size(kDoubleOperations))];
            ValueId a = pick(type), b = pick(type);
            return keep(binary(operation, type, a, b));
        }
        Operation operation = kOperations[choices_.below(std::size(kOperations))];
        ValueId a = pick(type), b = choices_.one_in(4) ? builder_.constant(type, choices_.value()) : pick(type);
        keep(binary(operation, type, a, b));
    }
    void compute_unary(Type type) {
        static constexpr Operation kOperations[] = {Operation::kNot, Operation::kCountLeadingZeros,
                                                    Operation::kCountTrailingZeros, Operation::kCountOnes,
                                                    Operation::kByteReverse};
        keep(unary(kOperations[choices_.below(std::size(kOperations))], type, pick(type)));
    }
    void compute_bit() {
        static constexpr Operation kComparisons[] = {Operation::kEq, Operation::kNe, Operation::kUlt, Operation::kSlt};
        static constexpr Operation kBitwise[] = {Operation::kAnd, Operation::kOr, Operation::kXor};
        if (choices_.one_in(4)) {
            ValueId a = pick(Type::kI1), b = pick(Type::kI1);
            return keep(binary(kBitwise[choices_.below(std::size(kBitwise))], Type::kI1, a, b));
        }
        if (choices_.one_in(6)) return keep(unary(Operation::kNot, Type::kI1, pick(Type::kI1)));
        Type type = choices_.one_in(3) ? Type::kI32 : Type::kI64;
        ValueId a = pick(type), b = choices_.one_in(3) ? builder_.constant(type, choices_.value()) : pick(type);
        keep(binary(kComparisons[choices_.below(std::size(kComparisons))], Type::kI1, a, b));
    }
    void compute_other() {
        switch (choices_.below(4)) {
            case 0:
                return keep(unary(Operation::kBox, Type::kI64, pick(Type::kI32)));
            case 1:
                return keep(unary(Operation::kUnbox, Type::kI32, pick(Type::kI64)));
            case 2:
                return keep(builder_.add({.operation = Operation::kGetFlags, .type = Type::kI64}));
            default: {
                Node call{.operation = Operation::kCall, .type = Type::kI64, .imm = shape_.helper};
                call.a = pick(Type::kI64), call.b = pick(Type::kI64), call.c = pick(Type::kI64);
                return keep(builder_.add(call));
            }
        }
    }
    void change_width() {
        static constexpr std::pair<Type, Type> kNarrower[] = {{Type::kI64, Type::kI32},
                                                              {Type::kI64, Type::kI16},
                                                              {Type::kI64, Type::kI8},
                                                              {Type::kI32, Type::kI16},
                                                              {Type::kI32, Type::kI8}};
        static constexpr std::pair<Type, Type> kWider[] = {
            {Type::kI32, Type::kI64}, {Type::kI16, Type::kI64}, {Type::kI8, Type::kI64}, {Type::kI16, Type::kI32},
            {Type::kI8, Type::kI32},  {Type::kI1, Type::kI64},  {Type::kI1, Type::kI32}};
        if (choices_.one_in(3)) {
            auto [from, to] = kNarrower[choices_.below(std::size(kNarrower))];
            return keep(unary(Operation::kTrunc, to, pick(from)));
        }
        auto [from, to] = kWider[choices_.below(std::size(kWider))];
        Operation operation = from != Type::kI1 && choices_.one_in(2) ? Operation::kSext : Operation::kZext;
        keep(unary(operation, to, pick(from)));
    }

    // An address in the data, which other accesses may be relative to.
    ValueId base() {
        if (!bases_.empty() && choices_.one_in(2)) {
            return bases_[choices_.below(static_cast<unsigned>(bases_.size()))];
        }
        unsigned page = choices_.below(shape_.data_pages);
        uint64_t where = shape_.data_address + uint64_t{page} * 4096 + (choices_.below(64) * 8);
        if (choices_.one_in(8)) where += choices_.below(8);
        if (choices_.one_in(16)) where = (where | 0xfff) - choices_.below(8);
        // Through a register, so that it is not known.
        ValueId low = builder_.binary(Operation::kAnd, Type::kI64, builder_.get_integer(1 + choices_.below(31)),
                                      builder_.constant(Type::kI64, 0x18));
        bases_.push_back(builder_.binary(Operation::kAdd, Type::kI64, low, builder_.constant(Type::kI64, where)));
        return bases_.back();
    }
    ValueId address() {
        ValueId from = base();
        uint64_t offset = 0;
        switch (choices_.below(4)) {
            case 0:
                return from;
            case 1:
                offset = choices_.below(4096);
                break;
            case 2:
                offset = uint64_t{0} - choices_.below(64);
                break;
            default:
                offset = choices_.below(16) * 8;
        }
        return builder_.add(
            {.operation = Operation::kAdd, .type = Type::kI64, .a = from, .b = builder_.constant(Type::kI64, offset)});
    }

    void access() {
        static constexpr unsigned kWidths[] = {8, 16, 32, 64};
        unsigned bits = kWidths[choices_.below(4)], wide = bits < 32 ? 32 : bits;
        switch (choices_.below(6)) {
            case 0:
            case 1:
                return load(bits, address());
            case 2:
            case 3: {
                ValueId to = address();
                return builder_.store(bits, to, pick(static_cast<Type>(bits)));
            }
            case 4:
                return atomic(wide, address());
            default: {
                ValueId at = address();
                if (choices_.one_in(2)) {
                    return keep(builder_.access(Operation::kLoadReserved, static_cast<Type>(wide), at, 0));
                }
                keep(builder_.access(Operation::kStoreConditional, Type::kI64, at, pick(static_cast<Type>(wide))));
            }
        }
    }
    void load(unsigned bits, ValueId address) {
        ValueId id = builder_.load(bits, address);
        if (bits < 64 && choices_.one_in(2)) {
            id = builder_.unary(choices_.one_in(2) ? Operation::kSext : Operation::kZext, Type::kI64, id);
        }
        keep(id);
        builder_.page_plus(0);  // nothing extends the load from here on
    }
    void atomic(unsigned bits, ValueId address) {
        auto type = static_cast<Type>(bits);
        auto operation = static_cast<Operation>(static_cast<unsigned>(Operation::kAtomicSwap) + choices_.below(9));
        keep(builder_.access(operation, type, address, pick(type)));
    }

    void write() {
        if (choices_.one_in(3)) return builder_.set_float(choices_.below(32), pick(Type::kI64));
        if (choices_.one_in(16)) {
            builder_.note_float_write();
            builder_.add({.operation = Operation::kSetFlags, .a = pick(Type::kI64)});
            return;
        }
        if (choices_.one_in(16)) builder_.add({.operation = Operation::kFence});
        builder_.set_integer(choices_.below(32), pick(Type::kI64));
    }

    // To one of the blocks, or out of them.
    int64_t target() {
        switch (choices_.below(8)) {
            case 0:
                return 0x800 + 2 * static_cast<int64_t>(choices_.below(0x3ff));
            case 1:
                return 4096 + 2 * static_cast<int64_t>(choices_.below(1000));
            case 2:
                return -2 * static_cast<int64_t>(1 + choices_.below(1000));
            default:
                return offset(choices_.below(shape_.blocks));
        }
    }
    void end() {
        switch (choices_.below(8)) {
            case 0:
                builder_.add({.operation = Operation::kInterpret});
                return;
            case 1: {
                // No instruction has an odd address.
                ValueId even = builder_.constant(Type::kI64, ~uint64_t{1});
                ValueId address = binary(Operation::kAnd, Type::kI64, pick(Type::kI64), even);
                builder_.add({.operation = Operation::kJumpTo, .a = address});
                return;
            }
            case 2:
                builder_.add({.operation = Operation::kJump, .imm = static_cast<uint64_t>(target())});
                return;
            default: {
                if (choices_.one_in(2)) compute_bit();
                Node branch{.operation = Operation::kBranch, .a = pick(Type::kI1)};
                if (choices_.one_in(2)) branch.a = bits_.back();
                branch.imm = static_cast<uint64_t>(target());
                branch.other = static_cast<int32_t>(target());
                builder_.add(branch);
            }
        }
    }

    Choices& choices_;
    const RandomShape& shape_;
    unsigned index_;
    Block block_;
    Builder builder_;
    bool raw_;
    std::vector<ValueId> bits_, bytes_, halves_, words_, doubles_;
    std::vector<ValueId> bases_;
};

inline std::vector<Block> random_blocks(Choices& choices, const RandomShape& shape) {
    std::vector<Block> blocks;
    for (unsigned i = 0; i < shape.blocks; i++) blocks.push_back(RandomBlock(choices, shape, i).make());
    return blocks;
}

}  // namespace doppel::translate
