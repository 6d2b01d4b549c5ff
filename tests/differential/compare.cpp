#include "compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "isa/riscv/decode.h"

namespace doppel::differential {

namespace {

std::string_view x_name(size_t n) {
    return isa::riscv::integer_register_name(static_cast<unsigned>(n));
}
std::string_view f_name(size_t n) {
    return isa::riscv::float_register_name(static_cast<unsigned>(n));
}

void compare_value(std::string& text, std::string_view name, uint64_t input, uint64_t reference, uint64_t engine) {
    if (reference == engine) return;
    text += fmt::format("    {:<5} input {:016x}  reference {:016x}  engine {:016x}\n", name, input, reference, engine);
}

Outcome outcome_of(const Output& output, size_t state_size) {
    Outcome outcome;
    outcome.trouble = output.trouble;
    outcome.states.resize(output.bytes.size() / state_size);
    for (size_t i = 0; i < outcome.states.size(); i++)
        std::memcpy(&outcome.states[i], &output.bytes[i * state_size], state_size);
    return outcome;
}

}  // namespace

std::optional<Difference> first_difference(const Outcome& reference, const Outcome& engine, size_t count) {
    for (size_t i = 0; i < count; i++) {
        bool reference_came = i < reference.states.size(), engine_came = i < engine.states.size();
        if (reference_came && engine_came) {
            if (reference.states[i] != engine.states[i]) return Difference{i, "", ""};
        } else {
            return Difference{i, reference_came ? "" : reference.trouble, engine_came ? "" : engine.trouble};
        }
    }
    return std::nullopt;
}

std::string describe_difference(const State& input, const State& reference, const State& engine) {
    std::string text;
    for (size_t n = 0; n < input.x.size(); n++) {
        compare_value(text, x_name(n), input.x[n], reference.x[n], engine.x[n]);
    }
    for (size_t n = 0; n < input.f.size(); n++) {
        compare_value(text, f_name(n), input.f[n], reference.f[n], engine.f[n]);
    }
    compare_value(text, "fcsr", input.fcsr, reference.fcsr, engine.fcsr);
    compare_value(text, "vl", input.vl, reference.vl, engine.vl);
    compare_value(text, "vtype", input.vtype, reference.vtype, engine.vtype);
    compare_value(text, "vstart", input.vstart, reference.vstart, engine.vstart);
    compare_value(text, "vcsr", input.vcsr, reference.vcsr, engine.vcsr);
    for (size_t i = 0; i < input.v.size(); i += 8) {
        auto word = [i](const State& state) {
            uint64_t value;
            std::memcpy(&value, &state.v[i], sizeof value);
            return value;
        };
        compare_value(text, fmt::format("v+{:#x}", i), word(input), word(reference), word(engine));
    }
    for (size_t i = 0; i < input.scratch.size(); i++) {
        if (reference.scratch[i] == engine.scratch[i]) continue;
        text +=
            fmt::format("    sp{:+}  input {:02x}  reference {:02x}  engine {:02x}\n",
                        static_cast<int>(i) - kScratchBelow, input.scratch[i], reference.scratch[i], engine.scratch[i]);
    }
    return text;
}

std::string describe_input(const State& input) {
    std::string text = fmt::format("    fcsr  {:#x}\n", input.fcsr);
    for (size_t n = 0; n < input.x.size(); n++) {
        if (input.x[n] != 0) text += fmt::format("    {:<5} {:#018x}\n", x_name(n), input.x[n]);
    }
    for (size_t n = 0; n < input.f.size(); n++) {
        if (input.f[n] != 0) text += fmt::format("    {:<5} {:#018x}\n", f_name(n), input.f[n]);
    }
    size_t filled =
        input.scratch.size() - static_cast<size_t>(std::count(input.scratch.begin(), input.scratch.end(), 0));
    if (filled != 0) text += fmt::format("    scratch memory: {} bytes are not 0\n", filled);
    return text;
}

Result<Subjects::Pair> Subjects::run(std::span<const Sequence> sequences) const {
    Program program = build_program(sequences, vector_bits);
    // Sequences only jump forward: a pass executes each instruction at most once, and the copying of inputs.
    constexpr uint64_t kHarness = 5000;
    Limits limits{slice, kPasses * (kHarness * (program.starts.size() + 1) + program.text.size())};
    DOPPEL_TRY(Output in_reference, run_in_qemu(qemu, program));
    DOPPEL_TRY(Output in_engine, run_in_engine(engine, program, limits));
    return Pair{outcome_of(in_reference, program.state_size()), outcome_of(in_engine, program.state_size())};
}

}  // namespace doppel::differential
