// Random user-mode instruction sequences under qemu-riscv64 and under an engine of doppel: all results must be the
// same.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "compare.h"
#include "generate.h"

namespace doppel::differential {

namespace {

constexpr int kSkipped = 77;

struct Options {
    uint64_t sequences = 30000;
    uint64_t first = 0;
    uint64_t seed = 0;
    unsigned length = 30;
    uint64_t slice = 1'000'000;
    std::string qemu;
    std::string engine = "interpret";
    unsigned vector_bits = 0;
    std::string without;
};

Sequence sequence_number(const Options& options, uint64_t number) {
    Random random(options.seed, number);
    return generate(random, options.length, options.vector_bits);
}

void report(const Options& options, uint64_t number, const Sequence& sequence, const Subjects::Pair& pair) {
    fmt::print("sequence {} differs (--seed {} --first {} --sequences 1 --length {} --slice {} --vlen {})\n", number,
               options.seed, number, options.length, options.slice, options.vector_bits);
    uint64_t start = build_program(std::span(&sequence, 1), options.vector_bits).starts[0];
    fmt::print("  shrunk to:\n{}  input:\n{}", listing(sequence, start), describe_input(sequence.input));
    auto difference = first_difference(pair.reference, pair.engine, kPasses);
    if (!difference) {
        fmt::print("  but alone it does not differ\n");
    } else if (size_t at = difference->state; at < pair.reference.states.size() && at < pair.engine.states.size()) {
        fmt::print("  result:\n{}",
                   describe_difference(sequence.input, pair.reference.states[at], pair.engine.states[at]));
    } else {
        fmt::print("  reference: {}\n  engine: {}\n",
                   difference->reference.empty() ? "a result" : difference->reference,
                   difference->engine.empty() ? "a result" : difference->engine);
    }
}

// True: no difference in [first, first + count).
Result<bool> run_batch(const Options& options, const Subjects& subjects, uint64_t first, uint64_t count) {
    std::vector<Sequence> sequences;
    for (uint64_t i = 0; i < count; i++) sequences.push_back(sequence_number(options, first + i));
    DOPPEL_TRY(Subjects::Pair pair, subjects.run(sequences));
    auto difference = first_difference(pair.reference, pair.engine, sequences.size() * kPasses);
    if (!difference) return true;
    size_t index = difference->state % sequences.size();
    DOPPEL_TRY(Sequence smallest, shrink(subjects, sequences[index]));
    DOPPEL_TRY(Subjects::Pair alone, subjects.run(std::span(&smallest, 1)));
    report(options, first + index, smallest, alone);
    return false;
}

Result<bool> run_all(const Options& options, const Subjects& subjects) {
    constexpr uint64_t kBatch = 2000;
    for (uint64_t done = 0; done < options.sequences; done += kBatch) {
        DOPPEL_TRY(bool same,
                   run_batch(options, subjects, options.first + done, std::min(kBatch, options.sequences - done)));
        if (!same) return false;
    }
    return true;
}

int skip(const std::string& why) {
    fmt::print("skipped: {}\n", why);
    return kSkipped;
}

}  // namespace

int run(int argc, char** argv) {
    Options options;
    options.seed = std::random_device()();
    CLI::App app("Compares an engine with qemu-riscv64 over random instruction sequences.");
    app.add_option("--sequences", options.sequences, "How many")->capture_default_str();
    app.add_option("--first", options.first, "The number of the first")->capture_default_str();
    app.add_option("--seed", options.seed, "Decides all sequences (default: another one each time)");
    app.add_option("--length", options.length, "Units (mostly instructions) in a sequence")->capture_default_str();
    app.add_option("--qemu", options.qemu, "The qemu-riscv64 program, version 9 or newer")->envname("DOPPEL_QEMU_USER");
    app.add_option("--engine", options.engine, "The engine that is tested")->capture_default_str();
    app.add_option("--slice", options.slice, "Instructions that the engine runs at a time")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--vlen", options.vector_bits, "Vector instructions too, with registers of so many bits")
        ->check(CLI::IsMember({0, 128, 256, 512, 1024}))
        ->capture_default_str();
    app.add_option("--without", options.without, "Techniques of the translator that are switched off: all, or some");
    CLI11_PARSE(app, argc, argv);

    const auto techniques = translate::techniques_without(options.without);
    if (!techniques) {
        fmt::print(stderr, "differential: {}: not all are among {}\n", options.without, translate::technique_names());
        return 2;
    }
    auto engine = engine_by_name(options.engine, *techniques);
    if (engine == nullptr) {
        fmt::print(stderr, "differential: no engine is called {}\n", options.engine);
        return 2;
    }
    if (options.qemu.empty()) return skip("no qemu-riscv64; give one by --qemu or DOPPEL_QEMU_USER");
    if (::access(options.qemu.c_str(), X_OK) != 0) return skip("cannot execute " + options.qemu);

    fmt::print("{} sequences of {} units, engine {}, --seed {}\n", options.sequences, options.length, options.engine,
               options.seed);
    std::fflush(stdout);
    auto same = run_all(options, {options.qemu, *engine, options.slice, options.vector_bits});
    if (!same) {
        fmt::print(stderr, "differential: {}\n", same.error().message());
        return 1;
    }
    return *same ? 0 : 1;
}

}  // namespace doppel::differential

int main(int argc, char** argv) {
    return doppel::differential::run(argc, argv);
}
