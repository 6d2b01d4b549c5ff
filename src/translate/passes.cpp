#include "translate/passes.h"

#include <array>
#include <utility>

namespace doppel::translate {

namespace {

class Liveness {
  public:
    explicit Liveness(const Block& block) : block_(block), live_(block.nodes.size()) {
        for (size_t i = block.nodes.size() - 1; i > 0; i--) visit(i);
    }
    bool operator[](size_t i) const { return live_[i]; }

  private:
    void visit(size_t i) {
        const Node& node = block_.nodes[i];
        switch (info(node.operation).kind) {
            case OperationKind::kPure:
                break;
            case OperationKind::kState:
                visit_state(i, node);
                break;
            case OperationKind::kAccess:
            case OperationKind::kEnd:
            case OperationKind::kFloat:
                live_[i] = true;
                break;
        }
        // Whoever looks on there sees every register.
        if (may_leave(node.operation)) overwritten_ = {};
        if (!live_[i]) return;
        for (ValueId id : {node.a, node.b, node.c}) live_[id] = true;
    }

    void visit_state(size_t i, const Node& node) {
        constexpr unsigned kFirstFloat = 32;
        switch (node.operation) {
            case Operation::kGetInteger:
                // Reads that stand before writes of the same block see the register of its beginning.
                if (live_[i]) overwritten_[node.imm] = false;
                break;
            case Operation::kGetFloat:
                if (live_[i]) overwritten_[kFirstFloat + node.imm] = false;
                break;
            case Operation::kSetInteger:
                live_[i] = !std::exchange(overwritten_[node.imm], true);
                break;
            case Operation::kSetFloat:
                live_[i] = !std::exchange(overwritten_[kFirstFloat + node.imm], true);
                break;
            default:
                live_[i] = true;
        }
    }

    const Block& block_;
    std::vector<bool> live_;
    std::array<bool, 64> overwritten_{};  // integer registers, then float registers
};

}  // namespace

void remove_dead(Block& block) {
    Liveness live(block);
    std::vector<ValueId> moved(block.nodes.size());
    size_t kept = 1;
    for (size_t i = 1; i < block.nodes.size(); i++) {
        if (!live[i]) continue;
        Node node = block.nodes[i];
        node.a = moved[node.a], node.b = moved[node.b], node.c = moved[node.c];
        moved[i] = static_cast<ValueId>(kept);
        block.nodes[kept++] = node;
    }
    block.nodes.resize(kept);
}

}  // namespace doppel::translate
