// What blocks of intermediate representation mean, one operation after the other over fold(): what generated code is
// compared with. For tests and fuzzers.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "translate/builder.h"

namespace doppel::translate {

enum class Stop : uint8_t { kBudget, kTarget, kOffset, kInterpret, kAccess };

// All that a block reads and writes.
struct Machine {
    static constexpr uint64_t kPageBytes = 4096;

    std::array<uint64_t, 32> x{};
    std::array<uint64_t, 32> f{};
    bool float_dirty = false;
    uint8_t flags = 0;
    int64_t budget = 0;
    uint64_t page = 0;  // the virtual address of the code's page
    uint64_t reserved_address = 0, reserved_value = 0;
    uint8_t reserved_bytes = 0;
    uint64_t data_address = 0;  // of `data`, whole pages
    std::vector<uint8_t> data;
    std::function<bool(uint64_t page, bool writes)> permits;  // whether code may reach this page of `data`
    uint64_t (*call)(const uint64_t* arguments) = nullptr;    // what kCall calls, whatever its number

    // Where it went on.
    Stop stop = Stop::kBudget;
    uint64_t pc = 0;
};

class Evaluation {
  public:
    Evaluation(Machine& machine, std::span<const Block> blocks) : machine_(machine), blocks_(blocks) {}

    // From the first block to where the blocks are left.
    void run() {
        const Block* block = &blocks_.front();
        while (block != nullptr) {
            auto count = static_cast<int64_t>(block->count());
            if (machine_.budget < count) return stop(Stop::kBudget, machine_.page + block->start());
            machine_.budget -= count;
            block = run_block(*block);
        }
    }

  private:
    void stop(Stop why, uint64_t pc) {
        machine_.stop = why;
        machine_.pc = pc;
    }

    const Block* run_block(const Block& block) {
        block_ = &block;
        values_.assign(block.nodes.size(), 0);
        for (size_t i = 1; i + 1 < block.nodes.size(); i++) {
            const Node& node = block.nodes[i];
            if (node.guest != guest_ || i == 1) begin_instruction(node.guest);
            if (!step(i, node)) {
                leave(Stop::kAccess, node);
                return nullptr;
            }
        }
        return end(block.nodes.back());
    }

    // At an exit in the middle, registers are as at the guest instruction's beginning.
    void begin_instruction(uint8_t guest) {
        guest_ = guest;
        x_before_ = machine_.x;
        f_before_ = machine_.f;
    }
    void leave(Stop why, const Node& node) {
        if (node.guest == guest_) machine_.x = x_before_, machine_.f = f_before_;
        machine_.budget += block_->count() - node.guest;
        stop(why, machine_.page + block_->offsets[node.guest]);
    }

    const Block* end(const Node& node) {
        switch (node.operation) {
            case Operation::kJump:
                return go_to(static_cast<int64_t>(node.imm));
            case Operation::kBranch:
                return go_to(values_[node.a] != 0 ? static_cast<int64_t>(node.imm) : node.other);
            case Operation::kJumpTo:
                stop(Stop::kTarget, values_[node.a]);
                return nullptr;
            default:
                leave(Stop::kInterpret, node);
                return nullptr;
        }
    }
    const Block* go_to(int64_t offset) {
        for (const Block& block : blocks_) {
            if (block.start() == offset) return &block;
        }
        bool inside = offset >= 0 && offset < static_cast<int64_t>(Machine::kPageBytes);
        stop(inside ? Stop::kOffset : Stop::kTarget, machine_.page + static_cast<uint64_t>(offset));
        return nullptr;
    }

    // False: the block is left at an access.
    bool step(size_t i, const Node& node) {
        if (foldable(node.operation)) {
            values_[i] = fold(node.operation, block_->nodes[node.a].type, node.type, values_[node.a], values_[node.b]);
            return true;
        }
        OperationKind kind = info(node.operation).kind;
        if (kind == OperationKind::kAccess) {
            auto result = access(node);
            if (result) values_[i] = *result & mask_of(node.type);
            return result.has_value();
        }
        values_[i] = other(node);
        return true;
    }

    uint64_t other(const Node& node) {
        uint64_t a = values_[node.a];
        constexpr uint64_t kUpper = 0xffff'ffff'0000'0000, kCanonicalNan = 0x7fc0'0000, kFlags = 0x1f;
        switch (node.operation) {
            case Operation::kConstant:
                return node.imm;
            case Operation::kPagePlus:
                return machine_.page + node.imm;
            case Operation::kGetInteger:
                return machine_.x[node.imm];
            case Operation::kGetFloat:
                return machine_.f[node.imm];
            case Operation::kGetFlags:
                return machine_.flags;
            case Operation::kSetInteger:
                machine_.x[node.imm] = a;
                return 0;
            case Operation::kSetFloat:
                machine_.f[node.imm] = a;
                return 0;
            case Operation::kSetFlags:
                machine_.flags = static_cast<uint8_t>(a & kFlags);
                return 0;
            case Operation::kFloatDirty:
                machine_.float_dirty = true;
                return 0;
            case Operation::kSelect:
                return a != 0 ? values_[node.b] : values_[node.c];
            case Operation::kCall: {
                const uint64_t arguments[] = {a, values_[node.b], values_[node.c]};
                return machine_.call(arguments);
            }
            case Operation::kBox:
                return a | kUpper;
            case Operation::kUnbox:
                return (a & kUpper) == kUpper ? a & ~kUpper : kCanonicalNan;
            default:
                return 0;
        }
    }

    // nullptr: not for translated code.
    uint8_t* reach(const Node& node, bool writes, bool aligned) {
        uint64_t address = values_[node.a] + node.imm, bytes = node.extra / 8u;
        uint64_t offset = address - machine_.data_address;
        if (aligned && address % bytes != 0) return nullptr;
        if (offset >= machine_.data.size() || machine_.data.size() - offset < bytes) return nullptr;
        uint64_t page = offset / Machine::kPageBytes;
        if (page != (offset + bytes - 1) / Machine::kPageBytes || !machine_.permits(page, writes)) return nullptr;
        return &machine_.data[offset];
    }

    std::optional<uint64_t> access(const Node& node) {
        bool loads = node.operation <= Operation::kLoadZero || node.operation == Operation::kLoadReserved;
        bool plain = node.operation <= Operation::kStore;
        size_t bytes = node.extra / 8u;
        uint8_t* at = reach(node, !loads, !plain);
        if (at == nullptr) return std::nullopt;
        uint64_t old = 0, operand = values_[node.b];
        std::memcpy(&old, at, bytes);
        auto width_type = static_cast<Type>(node.extra);
        switch (node.operation) {
            case Operation::kLoad:
            case Operation::kLoadZero:
                return old;
            case Operation::kLoadSigned:
                return node.extra == width(node.type) ? old : fold(Operation::kSext, width_type, node.type, old, 0);
            case Operation::kStore:
                std::memcpy(at, &operand, bytes);
                return 0;
            case Operation::kLoadReserved:
                machine_.reserved_address = values_[node.a];
                machine_.reserved_value = old;
                machine_.reserved_bytes = static_cast<uint8_t>(bytes);
                return old;
            case Operation::kStoreConditional: {
                bool holds = machine_.reserved_bytes == bytes && machine_.reserved_address == values_[node.a] &&
                             machine_.reserved_value == old;
                if (holds) std::memcpy(at, &operand, bytes);
                machine_.reserved_bytes = 0;
                return holds ? 0 : 1;
            }
            default: {
                uint64_t fresh = combined(node.operation, width_type, old, operand);
                std::memcpy(at, &fresh, bytes);
                return old;
            }
        }
    }
    static uint64_t combined(Operation operation, Type type, uint64_t old, uint64_t operand) {
        auto less = [&](Operation how) { return fold(how, type, Type::kI1, operand, old) != 0; };
        switch (operation) {
            case Operation::kAtomicSwap:
                return operand;
            case Operation::kAtomicAdd:
                return fold(Operation::kAdd, type, type, old, operand);
            case Operation::kAtomicXor:
                return old ^ operand;
            case Operation::kAtomicAnd:
                return old & operand;
            case Operation::kAtomicOr:
                return old | operand;
            case Operation::kAtomicMin:
                return less(Operation::kSlt) ? operand : old;
            case Operation::kAtomicMax:
                return less(Operation::kSlt) ? old : operand;
            case Operation::kAtomicMinUnsigned:
                return less(Operation::kUlt) ? operand : old;
            default:
                return less(Operation::kUlt) ? old : operand;
        }
    }

    Machine& machine_;
    std::span<const Block> blocks_;
    const Block* block_ = nullptr;
    std::vector<uint64_t> values_;
    uint8_t guest_ = 0;
    std::array<uint64_t, 32> x_before_{}, f_before_{};
};

}  // namespace doppel::translate
