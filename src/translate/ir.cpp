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
        case Operation::kSystem:
        case Operation::kJump:
        case Operation::kResume:
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

// What is computed with. Narrower values are only loaded, stored, extended from and truncated to, and single bits are
// only compared into, combined and chosen by: host registers hold anything above them.
bool is_word(Type type) {
    return type == Type::kI32 || type == Type::kI64;
}

// A node's types, for verify().
struct Types {
    Type own, a, b, c;

    bool same() const { return a == own && (b == own || b == Type::kNone); }
};

std::string_view arithmetic_problem(const Node& node, const Types& types) {
    switch (node.operation) {
        case Operation::kAnd:
        case Operation::kOr:
        case Operation::kXor:
        case Operation::kNot:
            if (types.own == Type::kI1 && types.same()) return "";
            break;
        case Operation::kMulHighUnsigned:
        case Operation::kMulHighSigned:
        case Operation::kMulHighSignedUnsigned:
            if (types.own != Type::kI64) return "a high product of another width than 64";
            break;
        default:
            break;
    }
    if (!types.same()) return "operands of another width";
    return is_word(types.own) ? "" : "arithmetic of another width than 32 or 64";
}

std::string_view access_problem(const Node& node, const Types& types) {
    switch (node.operation) {
        case Operation::kLoad:
            return width(types.own) == node.extra ? "" : "a load of another width than its value";
        case Operation::kLoadSigned:
        case Operation::kLoadZero:
            return is_word(types.own) && node.extra < width(types.own) ? "" : "an extending load to fewer bits";
        case Operation::kStore:
            return width(types.b) == node.extra ? "" : "a store of another width than its value";
        default:
            return is_word(static_cast<Type>(node.extra)) ? "" : "an atomic of another width than 32 or 64";
    }
}

std::string_view call_problem(const Node& node) {
    constexpr int32_t kPageBytes = 4096;
    if (node.extra > kReturn) return "a call with no such register";
    return is_call(node) && (node.other <= 0 || node.other >= kPageBytes) ? "a call that comes back to another page"
                                                                          : "";
}

// What is wrong with the types of the operation and its operands.
std::string_view type_problem(const Node& node, const Types& types) {
    if (info(node.operation).kind == OperationKind::kAccess) {
        return types.a == Type::kI64 ? access_problem(node, types) : "an address of another width than 64";
    }
    if (node.operation >= Operation::kAdd && node.operation <= Operation::kSrem) {
        switch (node.operation) {
            case Operation::kEq:
            case Operation::kNe:
            case Operation::kUlt:
            case Operation::kSlt:
                if (types.a != types.b || types.own != Type::kI1) return "comparison of different widths";
                return is_word(types.a) ? "" : "comparison of another width than 32 or 64";
            case Operation::kSelect:
                if (types.a != Type::kI1 || types.b != types.own || types.c != types.own) {
                    return "selection of different widths";
                }
                return is_word(types.own) ? "" : "selection of another width than 32 or 64";
            default:
                return arithmetic_problem(node, types);
        }
    }
    switch (node.operation) {
        case Operation::kTrunc:
            if (types.own == Type::kI1) return "truncation to one bit";
            return width(types.a) > width(types.own) ? "" : "truncation to more bits";
        case Operation::kSext:
            if (types.a == Type::kI1) return "sign extension of one bit";
            [[fallthrough]];
        case Operation::kZext:
            if (!is_word(types.own)) return "extension to another width than 32 or 64";
            return width(types.a) < width(types.own) ? "" : "extension to fewer bits";
        case Operation::kJump:
            return call_problem(node);
        case Operation::kJumpTo:
            return types.a == Type::kI64 ? call_problem(node) : "a register of another width than 64";
        case Operation::kSetInteger:
        case Operation::kSetFloat:
            return types.a == Type::kI64 ? "" : "a register of another width than 64";
        case Operation::kBranch:
            return types.a == Type::kI1 ? "" : "a condition that is no bit";
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
        if (is_call(node)) out += fmt::format(" back to 0x{:x}", node.other);
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
            bool optional = node.operation >= Operation::kCall && node.operation <= Operation::kSystem;
            if (n >= known.operands && operands[n] != 0) return fail(malformed(block, i, "an operand too many"));
            if (n < known.operands && operands[n] == 0 && !optional) {
                return fail(malformed(block, i, "an operand is missing"));
            }
            if (operands[n] >= i) return fail(malformed(block, i, "an operand that comes later"));
            if (operands[n] != 0 && block.nodes[operands[n]].type == Type::kNone) {
                return fail(malformed(block, i, "an operand without a value"));
            }
        }
        Types types{node.type, block.nodes[node.a].type, block.nodes[node.b].type, block.nodes[node.c].type};
        if (auto problem = type_problem(node, types); !problem.empty()) return fail(malformed(block, i, problem));
        bool ends = known.kind == OperationKind::kEnd;
        if (ends != (i + 1 == count)) return fail(malformed(block, i, ends ? "an end inside" : "no end"));
    }
    return {};
}

}  // namespace doppel::translate
