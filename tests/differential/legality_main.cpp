// Which vector instructions are illegal: under qemu-riscv64 and under an engine of doppel, in the same states.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <random>

#include "legality_rules.h"

namespace doppel::differential {

namespace {

constexpr int kSkipped = 77;

struct Options {
    uint64_t seed = std::random_device()();
    unsigned each = 4;
    uint64_t encodings = 100'000;
    unsigned vector_bits = 128;
    std::string qemu;
    std::string engine = "interpret";
};

// True: no difference that no rule explains.
bool report(std::span<const Case> cases, const Verdicts& verdicts) {
    constexpr size_t kShown = 50;
    size_t legal = 0, known = 0, differ = 0;
    for (size_t i = 0; i < cases.size(); i++) {
        const Verdict &reference = verdicts.reference[i], &engine = verdicts.engine[i];
        if (!engine.illegal()) legal++;
        Agreement found = agreement(cases[i], reference, engine);
        if (found == Agreement::kKnown) known++;
        if (found != Agreement::kDiffer || differ++ >= kShown) continue;
        fmt::print("{}\n", describe(cases[i], reference, engine));
    }
    fmt::print("{} cases, {} of them legal; {} differ as known: registers read with two widths; {} differ\n",
               cases.size(), legal, known, differ);
    return differ == 0;
}

Result<bool> run_all(const Options& options, const cpu::Engine& engine) {
    Random random(options.seed);
    std::vector<Case> cases = cases_of_table(random, options.each);
    std::vector<Case> encodings = cases_of_encodings(random, options.encodings);
    cases.insert(cases.end(), encodings.begin(), encodings.end());
    DOPPEL_TRY(Verdicts verdicts, judge(options.qemu, engine, cases, options.vector_bits));
    return report(cases, verdicts);
}

int skip(const std::string& why) {
    fmt::print("skipped: {}\n", why);
    return kSkipped;
}

}  // namespace

int run(int argc, char** argv) {
    Options options;
    CLI::App app("Compares what an engine and qemu-riscv64 take for illegal vector instructions.");
    app.add_option("--each", options.each, "Cases of an instruction in a type")->capture_default_str();
    app.add_option("--encodings", options.encodings, "Cases of random bits")->capture_default_str();
    app.add_option("--seed", options.seed, "Decides all cases (default: another one each time)");
    app.add_option("--qemu", options.qemu, "The qemu-riscv64 program, version 10 or newer")
        ->envname("DOPPEL_QEMU_USER");
    app.add_option("--engine", options.engine, "The engine that is tested")->capture_default_str();
    app.add_option("--vlen", options.vector_bits, "Bits of a vector register")
        ->check(CLI::IsMember({128, 256, 512, 1024}))
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);

    auto engine = engine_by_name(options.engine);
    if (engine == nullptr) {
        fmt::print(stderr, "vector_legality: no engine is called {}\n", options.engine);
        return 2;
    }
    if (options.qemu.empty()) return skip("no qemu-riscv64; give one by --qemu or DOPPEL_QEMU_USER");
    if (::access(options.qemu.c_str(), X_OK) != 0) return skip("cannot execute " + options.qemu);

    fmt::print("engine {}, VLEN {}, --seed {}\n", options.engine, options.vector_bits, options.seed);
    std::fflush(stdout);
    auto same = run_all(options, *engine);
    if (!same) {
        fmt::print(stderr, "vector_legality: {}\n", same.error().message());
        return 1;
    }
    return *same ? 0 : 1;
}

}  // namespace doppel::differential

int main(int argc, char** argv) {
    return doppel::differential::run(argc, argv);
}
