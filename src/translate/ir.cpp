#include "translate/ir.h"

#include <fmt/format.h>

namespace doppel::translate {

const OperationInfo& info(Operation operation) {
    static constexpr OperationInfo kTable[] = {
#define OPERATION(name, text, operands, kind) {text, operands, OperationKind::k##kind},
#include "translate/operations.inc"
#undef OPERATION
    };
    return kTable[static_cast<size_t>(operation)];
}

namespace {

bool has_immediate(Operation operation) {
    switch (operation) {
        case Operation::kConstant:
        case Operation::kPagePlus:
        case Operation::kGetInteger:
        case Operation::kSetInteger:
        case Operation::kGetFloat:
        case Operation::kSetFloat:
        case Operation::kCall:
        case Operation::kCallFloat:
        case Operation::kJump:
        case Operation::kBranch:
            return true;
        default:
            return info(operation).kind == OperationKind::kAccess;
    }
}

Error malformed(const Block& block, size_t at, std::string_view why) {
    return Error{"verify a block", fmt::format("%{} of the code at page offset 0x{:x}", at, block.start()),
                 std::string(why), ""};
}

// The operands' types against the operation's, for those that compute.
std::string_view type_problem(const Block& block, const Node& node) {
    auto type_of = [&](ValueId id) { return block.nodes[id].type; };
    switch (node.operation) {
        case Operation::kAdd:
        case Operation::kSub:
        case Operation::kMul:
        case Operation::kAnd:
        case Operation::kOr:
        case Operation::kXor:
        case Operation::kShl:
        case Operation::kShr:
        case Operation::kSar:
        case Operation::kRotl:
        case Operation::kRotr:
            return type_of(node.a) == node.type && type_of(node.b) == node.type ? "" : "operands of another width";
        case Operation::kEq:
        case Operation::kNe:
        case Operation::kUlt:
        case Operation::kSlt:
            return type_of(node.a) == type_of(node.b) && node.type == Type::kI1 ? "" : "comparison of different widths";
        case Operation::kSelect:
            return type_of(node.a) == Type::kI1 && type_of(node.b) == node.type && type_of(node.c) == node.type
                       ? ""
                       : "selection of different widths";
        case Operation::kTrunc:
            return width(type_of(node.a)) > width(node.type) ? "" : "truncation to more bits";
        case Operation::kZext:
        case Operation::kSext:
            return width(type_of(node.a)) < width(node.type) ? "" : "extension to fewer bits";
        case Operation::kSetInteger:
        case Operation::kSetFloat:
        case Operation::kJumpTo:
            return type_of(node.a) == Type::kI64 ? "" : "a register of another width than 64";
        case Operation::kBranch:
            return type_of(node.a) == Type::kI1 ? "" : "a condition that is no bit";
        default:
            return "";
    }
}

}  // namespace

std::string print(const Block& block) {
    std::string out;
    unsigned guest = ~0u;
    for (size_t i = 1; i < block.nodes.size(); i++) {
        const Node& node = block.nodes[i];
        if (node.guest != guest) {
            guest = node.guest;
            out += fmt::format("+0x{:x}:\n", block.offsets[guest]);
        }
        const OperationInfo& known = info(node.operation);
        out += node.type == Type::kNone ? fmt::format("  {}", known.text)
                                        : fmt::format("  %{} = {}.{}", i, known.text, width(node.type));
        if (node.extra != 0) out += fmt::format("[{}]", node.extra);
        const ValueId operands[] = {node.a, node.b, node.c};
        std::string_view comma = " ";
        for (ValueId id : operands) {
            if (id == 0) break;
            out += fmt::format("{}%{}", comma, id);
            comma = ", ";
        }
        if (has_immediate(node.operation)) out += fmt::format("{}0x{:x}", comma, node.imm);
        if (node.operation == Operation::kBranch) out += fmt::format(" else 0x{:x}", node.other);
        out += '\n';
    }
    return out;
}

Result<> verify(const Block& block) {
    size_t count = block.nodes.size();
    if (block.offsets.size() < 2) return fail(malformed(block, 0, "no guest instruction"));
    for (size_t i = 1; i < count; i++) {
        const Node& node = block.nodes[i];
        const OperationInfo& known = info(node.operation);
        if (node.guest >= block.count()) return fail(malformed(block, i, "no such guest instruction"));
        const ValueId operands[] = {node.a, node.b, node.c};
        for (unsigned n = 0; n < 3; n++) {
            bool optional = node.operation == Operation::kCall || node.operation == Operation::kCallFloat;
            if (n >= known.operands && operands[n] != 0) return fail(malformed(block, i, "an operand too many"));
            if (n < known.operands && operands[n] == 0 && !optional) {
                return fail(malformed(block, i, "an operand is missing"));
            }
            if (operands[n] >= i) return fail(malformed(block, i, "an operand that comes later"));
            if (operands[n] != 0 && block.nodes[operands[n]].type == Type::kNone) {
                return fail(malformed(block, i, "an operand without a value"));
            }
        }
        if (auto problem = type_problem(block, node); !problem.empty()) return fail(malformed(block, i, problem));
        bool ends = known.kind == OperationKind::kEnd;
        if (ends != (i + 1 == count)) return fail(malformed(block, i, ends ? "an end inside" : "no end"));
    }
    return {};
}

}  // namespace doppel::translate
