// The intermediate representation of guest code: blocks of typed operations, each a value that operations behind it may
// use. Guest registers carry what lives longer than a block.
//
// Every register write stands at its guest instruction, so that at each operation that may leave the block the guest's
// registers are exact; passes keep it so.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace doppel::translate {

enum class Operation : uint8_t {
#define OPERATION(name, text, operands, kind) k##name,
#include "translate/operations.inc"
#undef OPERATION
};

enum class OperationKind : uint8_t { kPure, kFloat, kState, kAccess, kEnd };

struct OperationInfo {
    std::string_view text;
    uint8_t operands;
    OperationKind kind;
};
const OperationInfo& info(Operation operation);
// Whether code may leave the block in the middle of it, with the guest's registers as before the guest instruction.
constexpr bool may_leave(Operation operation) {
    bool rare_float = (operation >= Operation::kFloatMadd && operation <= Operation::kFloatMax) ||
                      operation == Operation::kFloatToSigned;
    bool system = operation == Operation::kSystem || operation == Operation::kZeroing;
    return rare_float || system || (operation >= Operation::kLoad && operation <= Operation::kAtomicMaxUnsigned) ||
           operation >= Operation::kJump;
}

// The width of a value in bits; kNone: the operation has none.
enum class Type : uint8_t { kNone = 0, kI1 = 1, kI8 = 8, kI16 = 16, kI32 = 32, kI64 = 64 };
constexpr unsigned width(Type type) {
    return static_cast<unsigned>(type);
}
constexpr uint64_t mask_of(Type type) {
    return type == Type::kI64 ? ~uint64_t{0} : (uint64_t{1} << width(type)) - 1;
}

// The index of the value's node in its block; 0: none.
using ValueId = uint16_t;

struct Node {
    Operation operation = Operation::kConstant;
    Type type = Type::kNone;
    uint8_t extra = 0;  // by the operation: rounding, width of an access, of a jump a return or a call's register
    uint8_t guest = 0;  // which guest instruction of the block it belongs to
    ValueId a = 0;
    ValueId b = 0;
    ValueId c = 0;
    uint64_t imm = 0;
    int32_t other = 0;  // a branch's offset when not taken, or where in its page a call comes back to
};

// `extra` of a jump that is a return; a call has the number of the register that it puts the return's address into.
inline constexpr uint8_t kReturn = 32;
constexpr bool is_call(const Node& node) {
    return (node.operation == Operation::kJump || node.operation == Operation::kJumpTo) && node.extra != 0 &&
           node.extra != kReturn;
}

inline constexpr unsigned kMaxBlockInstructions = 64;

// Straight-line guest code inside one page.
struct Block {
    std::vector<Node> nodes{Node{}};  // the first one is no value
    std::vector<uint16_t> offsets;    // of each guest instruction in its page, and behind the last one
    bool writes_float = false;
    unsigned count() const { return static_cast<unsigned>(offsets.size()) - 1; }
    uint16_t start() const { return offsets.front(); }
};

// "  %7 = add.64 %5, %6" a line; for traces and golden texts.
std::string print(const Block& block);

// What is wrong with a block: operands that are not defined before, types that do not fit, no end. For tests and
// checking builds.
Result<> verify(const Block& block);

}  // namespace doppel::translate
