// Nanoseconds per operation. Argument 0 is the rounding mode; argument 1 the flags accrued before each operation: with
// inexact (as after any guest arithmetic) the host's control register need not be read.
#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>

#include "isa/float/float.h"

namespace {

namespace fp = doppel::isa::fp;
using fp::Binary32;
using fp::Binary64;
using fp::Flags;
using fp::Rounding;

constexpr size_t kOperands = 1024;

// Normal numbers about 1.
template <class F>
std::array<typename F::Bits, kOperands> operands() {
    std::mt19937_64 random(1);
    std::array<typename F::Bits, kOperands> values;
    for (auto& value : values) {
        auto exponent = static_cast<typename F::Bits>(F::kBias - 8 + random() % 16) << F::kFractionBits;
        value = exponent | (static_cast<typename F::Bits>(random()) & F::kFraction);
    }
    return values;
}

template <class F>
void measure(benchmark::State& state, auto operation) {
    auto values = operands<F>();
    auto rounding = static_cast<Rounding>(state.range(0));
    size_t i = 0;
    for (auto _ : state) {
        Flags flags = static_cast<Flags>(state.range(1));
        size_t next = (i + 1) % kOperands;
        benchmark::DoNotOptimize(operation(values[i], values[next], rounding, flags));
        benchmark::DoNotOptimize(flags);
        i = next;
    }
}

template <class F>
void add(benchmark::State& state) {
    measure<F>(state, [](auto a, auto b, Rounding r, Flags& flags) { return fp::add<F>(a, b, r, flags); });
}
template <class F>
void mul(benchmark::State& state) {
    measure<F>(state, [](auto a, auto b, Rounding r, Flags& flags) { return fp::mul<F>(a, b, r, flags); });
}
template <class F>
void div(benchmark::State& state) {
    measure<F>(state, [](auto a, auto b, Rounding r, Flags& flags) { return fp::div<F>(a, b, r, flags); });
}
template <class F>
void sqrt(benchmark::State& state) {
    measure<F>(state, [](auto a, auto, Rounding r, Flags& flags) { return fp::sqrt<F>(a, r, flags); });
}
template <class F>
void fma(benchmark::State& state) {
    measure<F>(state, [](auto a, auto b, Rounding r, Flags& flags) { return fp::fma<F>(a, b, a, r, flags); });
}
template <class F>
void less(benchmark::State& state) {
    measure<F>(state, [](auto a, auto b, Rounding, Flags& flags) { return fp::lt<F>(a, b, flags); });
}
template <class F>
void to_int64(benchmark::State& state) {
    measure<F>(state, [](auto a, auto, Rounding r, Flags& flags) { return fp::to_integer<int64_t, F>(a, r, flags); });
}
template <class F>
void from_int64(benchmark::State& state) {
    measure<F>(state, [](auto a, auto, Rounding r, Flags& flags) {
        return fp::from_integer<F>(static_cast<int64_t>(a), r, flags);
    });
}
void narrow(benchmark::State& state) {
    measure<Binary64>(
        state, [](auto a, auto, Rounding r, Flags& flags) { return fp::convert<Binary32, Binary64>(a, r, flags); });
}
void widen(benchmark::State& state) {
    measure<Binary32>(
        state, [](auto a, auto, Rounding r, Flags& flags) { return fp::convert<Binary64, Binary32>(a, r, flags); });
}

void cases(benchmark::internal::Benchmark* bench) {
    bench->Args({static_cast<long>(Rounding::kNearestEven), static_cast<long>(fp::kInexact)});
    bench->Args({static_cast<long>(Rounding::kNearestEven), 0});
    bench->Args({static_cast<long>(Rounding::kTowardZero), 0});
    bench->Args({static_cast<long>(Rounding::kNearestMaxMagnitude), 0});
}

BENCHMARK(add<Binary64>)->Apply(cases);
BENCHMARK(mul<Binary64>)->Apply(cases);
BENCHMARK(div<Binary64>)->Apply(cases);
BENCHMARK(sqrt<Binary64>)->Apply(cases);
BENCHMARK(fma<Binary64>)->Apply(cases);
BENCHMARK(add<Binary32>)->Apply(cases);
BENCHMARK(fma<Binary32>)->Apply(cases);
BENCHMARK(less<Binary64>)->Args({0, 0});
BENCHMARK(to_int64<Binary64>)->Apply(cases);
BENCHMARK(from_int64<Binary64>)->Apply(cases);
BENCHMARK(narrow)->Apply(cases);
BENCHMARK(widen)->Args({0, 0});

}  // namespace
