// Records operations into a block, simplifying on the way: constants are folded, a register that was read or written
// before is not read again, extensions meet their loads.
#pragma once

#include <array>
#include <optional>

#include "translate/ir.h"

namespace doppel::translate {

class Builder {
  public:
    explicit Builder(Block& block) : block_(block) {}

    // The next guest instruction stands at `offset` of its page; `end` behind the last one.
    void begin_instruction(uint16_t offset) { block_.offsets.push_back(offset); }
    void finish(uint16_t end) { block_.offsets.push_back(end); }

    ValueId constant(Type type, uint64_t value);
    ValueId unary(Operation operation, Type type, ValueId a);
    ValueId binary(Operation operation, Type type, ValueId a, ValueId b);
    ValueId select(ValueId condition, ValueId a, ValueId b);

    ValueId page_plus(uint64_t offset);
    ValueId get_integer(unsigned number);
    void set_integer(unsigned number, ValueId value);
    ValueId get_float(unsigned number);
    void set_float(unsigned number, ValueId value);
    // Float state is about to change.
    void note_float_write();

    ValueId load(unsigned bits, ValueId address);
    void store(unsigned bits, ValueId address, ValueId value);
    ValueId access(Operation operation, Type type, ValueId address, ValueId operand);

    // Any other operation, as it is.
    ValueId add(const Node& node);

    bool is_constant(ValueId id) const { return node(id).operation == Operation::kConstant; }
    uint64_t constant_of(ValueId id) const { return node(id).imm; }
    Type type_of(ValueId id) const { return node(id).type; }
    // What `id` is the negation of; 0: of nothing.
    ValueId inverse_of(ValueId id) const { return is(id, Operation::kNot) ? node(id).a : ValueId{0}; }
    // The offset when the value is an address relative to the page.
    std::optional<uint64_t> page_offset(ValueId id) const {
        return is(id, Operation::kPagePlus) ? std::optional(node(id).imm) : std::nullopt;
    }

  private:
    static constexpr unsigned kRegisters = 32;

    const Node& node(ValueId id) const { return block_.nodes[id]; }
    bool is(ValueId id, Operation operation) const { return node(id).operation == operation; }
    bool is_constant(ValueId id, uint64_t value) const { return is_constant(id) && constant_of(id) == value; }
    ValueId emit(Operation operation, Type type, ValueId a = 0, ValueId b = 0, ValueId c = 0);
    ValueId simplify(Operation operation, Type type, ValueId a, ValueId b);
    ValueId narrow(Operation operation, Type type, ValueId a, ValueId b);
    ValueId simplify_bits(Operation operation, Type type, ValueId a, ValueId b);
    ValueId merge_shifts(Type type, ValueId a, ValueId b);
    bool same_value(ValueId a, ValueId b) const;
    ValueId merge_signs(Type type, ValueId a, ValueId b);
    ValueId extend_load(Operation operation, Type type, ValueId load);
    // Takes a constant that was added off an address.
    void split_address(Node& access);

    Block& block_;
    std::array<ValueId, kRegisters> integers_{};  // what each register holds, as far as known
    std::array<ValueId, kRegisters> floats_{};
};

// What an operation gives for constants, amounts modulo the width. Only for operations that `foldable` names.
bool foldable(Operation operation);
uint64_t fold(Operation operation, Type operand_type, Type type, uint64_t a, uint64_t b);

}  // namespace doppel::translate
