// Differences between what the reference and an engine made of a sequence.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "subject.h"

namespace doppel::differential {

struct Outcome {
    std::vector<State> states;  // what the sequences left, pass by pass, as far as they came
    std::string trouble;        // empty: the program ended as it should
};

struct Difference {
    size_t state;           // the first one that differs; its sequence is that modulo their count
    std::string reference;  // "" or what befell the reference instead of a result
    std::string engine;
};

// Both ran the same program, which leaves `count` states.
std::optional<Difference> first_difference(const Outcome& reference, const Outcome& engine, size_t count);

// A line for each part of the state that differs, with the input beside it.
std::string describe_difference(const State& input, const State& reference, const State& engine);
// The nonzero registers and scratch memory that the sequence starts from.
std::string describe_input(const State& input);

// Runs sequences in both.
struct Subjects {
    std::string qemu;
    const cpu::Engine& engine;
    uint64_t slice;  // see Limits
    unsigned vector_bits = 0;

    struct Pair {
        Outcome reference, engine;
        // Of a single sequence.
        bool differ() const { return first_difference(reference, engine, kPasses).has_value(); }
    };
    Result<Pair> run(std::span<const Sequence> sequences) const;
};

// The smallest sequence and input found that still differ.
Result<Sequence> shrink(const Subjects& subjects, Sequence sequence);

}  // namespace doppel::differential
