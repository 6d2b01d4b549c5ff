#include "cpu/translate/loop_region.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

namespace doppel::cpu::translate {

namespace x86 = doppel::translate::x86;
using doppel::translate::Block;
using doppel::translate::Node;
using doppel::translate::Operation;

namespace {

constexpr size_t kMaxBlocks = 32, kMaxInstructions = 400;
constexpr unsigned kRegisters = 32;

// Where a block goes on in its page.
std::vector<uint16_t> successors(const Block& block) {
    const Node& end = block.nodes.back();
    std::vector<int64_t> targets;
    if (end.operation == Operation::kJump) targets = {static_cast<int64_t>(end.imm)};
    if (end.operation == Operation::kBranch) targets = {end.other, static_cast<int64_t>(end.imm)};
    std::vector<uint16_t> inside;
    for (int64_t target : targets) {
        if (target >= 0 && target < static_cast<int64_t>(memory::kPageSize)) {
            inside.push_back(static_cast<uint16_t>(target));
        }
    }
    return inside;
}

class Graph {
  public:
    // What is reached from `start`, breadth first.
    Graph(std::span<const uint8_t> page, uint16_t start, CodeMode mode,
          const doppel::translate::Techniques& techniques) {
        std::vector<uint16_t> next{start};
        size_t instructions = 0;
        for (size_t i = 0; i < next.size() && blocks_.size() < kMaxBlocks; i++) {
            if (index_.contains(next[i])) continue;
            auto recorded = record_block(page, next[i], mode, techniques);
            if (!recorded) continue;
            instructions += recorded->block.count();
            if (instructions > kMaxInstructions) break;
            index_[next[i]] = blocks_.size();
            for (uint16_t target : successors(recorded->block)) next.push_back(target);
            blocks_.push_back(std::move(*recorded));
        }
        edges_.resize(blocks_.size());
        for (size_t i = 0; i < blocks_.size(); i++) {
            for (uint16_t target : successors(blocks_[i].block)) {
                if (auto found = index_.find(target); found != index_.end()) edges_[i].push_back(found->second);
            }
        }
    }
    size_t size() const { return blocks_.size(); }
    std::vector<RecordedBlock>& blocks() { return blocks_; }
    uint16_t start(size_t i) const { return blocks_[i].block.start(); }

    // Of the blocks that `in` names: those on a way from `from` back to it.
    std::vector<bool> cycle_through(size_t from, const std::vector<bool>& in) const {
        std::vector<bool> forward = reach(from, in, false), backward = reach(from, in, true);
        for (size_t i = 0; i < size(); i++) forward[i] = forward[i] && backward[i];
        return forward;
    }

  private:
    // What is reached in one step or more.
    std::vector<bool> reach(size_t from, const std::vector<bool>& in, bool backward) const {
        std::vector<bool> seen(size());
        std::vector<size_t> todo{from};
        auto visit = [&](size_t block) {
            if (!in[block] || seen[block]) return;
            seen[block] = true;
            todo.push_back(block);
        };
        while (!todo.empty()) {
            size_t at = todo.back();
            todo.pop_back();
            if (!backward) {
                for (size_t next : edges_[at]) visit(next);
                continue;
            }
            for (size_t i = 0; i < size(); i++) {
                if (std::find(edges_[i].begin(), edges_[i].end(), at) != edges_[i].end()) visit(i);
            }
        }
        return seen;
    }

    std::vector<RecordedBlock> blocks_;
    std::map<uint16_t, size_t> index_;
    std::vector<std::vector<size_t>> edges_;
};

// How often a block runs for one run of the outermost loop, by a guess: eight times as often a loop deeper.
std::vector<double> weights_of(const Graph& graph, const std::vector<bool>& loop) {
    constexpr double kTurns = 8;
    constexpr int kDeepest = 3;
    std::vector<double> weights(graph.size(), 0);
    // An inner loop does not pass through the head of the outer one: the block that comes first in memory.
    auto descend = [&](auto&& self, std::vector<bool> in, double weight, int depth) -> void {
        size_t head = graph.size();
        for (size_t i = 0; i < graph.size(); i++) {
            if (in[i]) weights[i] = std::max(weights[i], weight);
            bool first = head == graph.size() || graph.start(i) < graph.start(head);
            if (in[i] && first) head = i;
        }
        if (head == graph.size() || depth == kDeepest) return;
        in[head] = false;
        std::vector<bool> done(graph.size());
        for (size_t i = 0; i < graph.size(); i++) {
            if (!in[i] || done[i]) continue;
            std::vector<bool> inner = graph.cycle_through(i, in);
            if (!inner[i]) continue;
            for (size_t k = 0; k < graph.size(); k++) done[k] = done[k] || inner[k];
            self(self, inner, weight * kTurns, depth + 1);
        }
    };
    descend(descend, loop, 1, 0);
    return weights;
}

struct Usage {
    std::array<double, kRegisters> integer{};
    std::array<double, kRegisters> floating{};
};

void count_uses(const Block& block, double weight, Usage& usage) {
    for (const Node& node : block.nodes) {
        switch (node.operation) {
            case Operation::kGetInteger:
            case Operation::kSetInteger:
                usage.integer[node.imm] += weight;
                break;
            case Operation::kGetFloat:
            case Operation::kSetFloat:
                usage.floating[node.imm] += weight;
                break;
            default:
                break;
        }
    }
}

std::vector<unsigned> most_used(const std::array<double, kRegisters>& uses, size_t limit) {
    std::vector<unsigned> order(kRegisters);
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](unsigned a, unsigned b) { return uses[a] > uses[b]; });
    std::erase_if(order, [&](unsigned n) { return uses[n] == 0; });
    order.resize(std::min(order.size(), limit));
    return order;
}

// Registers that are canonical keep their places, so that entering and leaving moves few.
x86::Mapping choose_mapping(const Usage& usage) {
    constexpr x86::Mapping canonical = x86::canonical_mapping();
    constexpr size_t kFloatRegisters = 12;  // four are left for values in between
    x86::Mapping mapping = canonical;
    std::vector<unsigned> wanted = most_used(usage.integer, x86::kHomes.size());
    auto is_wanted = [&](unsigned n) { return std::find(wanted.begin(), wanted.end(), n) != wanted.end(); };
    for (unsigned n : wanted) {
        if (canonical.integer[n] >= 0) continue;
        for (unsigned other = 0; other < kRegisters; other++) {
            if (mapping.integer[other] < 0 || canonical.integer[other] < 0 || is_wanted(other)) continue;
            std::swap(mapping.integer[n], mapping.integer[other]);
            break;
        }
    }
    int8_t next = 15;
    for (unsigned n : most_used(usage.floating, kFloatRegisters)) mapping.floating[n] = next--;
    return mapping;
}

}  // namespace

std::optional<LoopRegion> find_loop(std::span<const uint8_t> page, uint16_t offset, CodeMode mode,
                                    const doppel::translate::Techniques& techniques) {
    Graph graph(page, offset, mode, techniques);
    if (graph.size() == 0) return std::nullopt;
    std::vector<bool> loop = graph.cycle_through(0, std::vector<bool>(graph.size(), true));
    if (!loop[0]) return std::nullopt;
    std::vector<double> weights = weights_of(graph, loop);
    LoopRegion region;
    Usage usage;
    for (size_t i = 0; i < graph.size(); i++) {
        if (!loop[i]) continue;
        count_uses(graph.blocks()[i].block, weights[i], usage);
        region.blocks.push_back(std::move(graph.blocks()[i]));
    }
    std::sort(region.blocks.begin(), region.blocks.end(),
              [](const auto& a, const auto& b) { return a.block.start() < b.block.start(); });
    region.mapping = techniques.loop_registers ? choose_mapping(usage) : x86::canonical_mapping();
    return region;
}

}  // namespace doppel::cpu::translate
