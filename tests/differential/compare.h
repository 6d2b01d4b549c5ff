// Differences between what the reference and an engine made of a sequence.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "subject.h"

namespace doppel::differential {

struct Difference {
    size_t sequence;        // the first one that differs
    std::string reference;  // "" or what befell the reference instead of a result
    std::string engine;
};

// Both ran the same program of `count` sequences.
std::optional<Difference> first_difference(const Outcome& reference, const Outcome& engine, size_t count);

// A line for each part of the state that differs, with the input beside it.
std::string describe_difference(const State& input, const State& reference, const State& engine);
// The nonzero registers and scratch memory that the sequence starts from.
std::string describe_input(const State& input);

// Runs one sequence in both.
struct Subjects {
    std::string qemu;
    const cpu::Engine& engine;

    struct Pair {
        Outcome reference, engine;
        bool differ() const { return first_difference(reference, engine, 1).has_value(); }
    };
    Result<Pair> run(std::span<const Sequence> sequences) const;
};

// The smallest sequence and input found that still differ.
Result<Sequence> shrink(const Subjects& subjects, Sequence sequence);

}  // namespace doppel::differential
