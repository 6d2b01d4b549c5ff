// Finds loops that last: those in which the budget of a slice keeps running out, and in which code stays for a while.
//
// A loop that is left every few instructions loses more on its ways in and out than it gains by its registers: the
// dispatch of a bytecode interpreter is one.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace doppel::cpu::translate {

// Of one vCPU, on its thread.
class LoopProbe {
  public:
    struct Loop {
        uint64_t physical;              // a block of it
        std::vector<uint16_t> visited;  // offsets in its page of blocks that were executed soon afterwards
    };
    // The budget, or what limit() left of it, ran out at the block at `physical`; `key` is its, and its mode's. A loop
    // around it is worth compiling, if all that is visited is in it: nullopt until that is known.
    std::optional<Loop> note(uint64_t physical, uint64_t key);
    // How much of `budget` the next run of translated code gets.
    int64_t limit(int64_t budget) const { return is_open_ ? std::min(budget, kSteps[visited_.size()]) : budget; }
    // Translated code was left for something else.
    void end() { is_open_ = false; }
    void forget();

  private:
    // Instructions; none is shorter than the longest block.
    static constexpr std::array<int64_t, 16> kSteps = {71,  83, 97,  67,  113, 89,  101, 73,
                                                       127, 79, 131, 103, 109, 137, 107, 139};
    static constexpr uint32_t kHot = 4;

    // How often the budget ran out at a block, for some.
    struct Sample {
        uint64_t key = ~uint64_t{0};
        uint32_t count = 0;
    };
    static constexpr size_t kSamples = 1 << 10;
    std::array<Sample, kSamples> samples_{};
    bool is_open_ = false;
    uint64_t physical_ = 0;  // where it was begun
    std::vector<uint16_t> visited_;
};

}  // namespace doppel::cpu::translate
