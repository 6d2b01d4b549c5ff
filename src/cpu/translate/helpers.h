// What translated code calls: functions of isa/ in the shape that it calls them in, and which of them the host's
// floating-point unit computes by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cpu/translate/hart_layout.h"
#include "isa/float/float.h"
#include "isa/riscv/hart.h"
#include "isa/riscv/system.h"
#include "translate/ir.h"

namespace doppel::cpu::translate {

// Helpers are named by their distance from this function, which holds wherever the program is loaded.
void helper_anchor();

template <class R, class... A>
uint64_t helper_offset(R (*function)(A...)) {
    return reinterpret_cast<uint64_t>(function) - reinterpret_cast<uint64_t>(&helper_anchor);
}

namespace detail {

template <class T>
uint64_t as_bits(T value) {
    if constexpr (std::is_same_v<T, bool>) {
        return value ? 1 : 0;
    } else {
        return static_cast<std::make_unsigned_t<T>>(value);
    }
}

// Flags of isa/float that an operation raised.
void accrue(isa::riscv::Hart& hart, isa::fp::Flags flags);

template <auto Function, class Type>
struct HelperOf;

// A function of values, which may take a rounding behind them, and flags behind that.
template <auto Function, class R, class... A>
struct HelperOf<Function, R (*)(A...)> {
    using Result = R;
    static constexpr bool kRounds = (... || std::is_same_v<A, isa::fp::Rounding>);
    static constexpr bool kRaises = (... || std::is_same_v<A, isa::fp::Flags&>);
    static constexpr size_t kValues = sizeof...(A) - (kRounds ? 1 : 0) - (kRaises ? 1 : 0);

    static uint64_t call(void* state, const uint64_t* arguments, uint64_t rounding) {
        return expand(state, arguments, static_cast<isa::fp::Rounding>(rounding), std::make_index_sequence<kValues>{});
    }

  private:
    template <size_t... I>
    static uint64_t expand(void* state, const uint64_t* arguments, [[maybe_unused]] isa::fp::Rounding rounding,
                           std::index_sequence<I...>) {
        using Types = std::tuple<A...>;
        if constexpr (!kRaises) {
            return as_bits(Function(static_cast<std::tuple_element_t<I, Types>>(arguments[I])...));
        } else {
            isa::riscv::Hart& hart = hart_of(state);
            isa::fp::Flags flags = hart.csr.fflags;
            R result{};
            if constexpr (kRounds) {
                result = Function(static_cast<std::tuple_element_t<I, Types>>(arguments[I])..., rounding, flags);
            } else {
                result = Function(static_cast<std::tuple_element_t<I, Types>>(arguments[I])..., flags);
            }
            accrue(hart, flags);
            return as_bits(result);
        }
    }
};

}  // namespace detail

// A function of system.h, by the tier whose code calls it.
using SystemFunction = isa::riscv::SystemResult (*)(isa::riscv::SystemContext&, const uint64_t* arguments);
uint64_t execute_system(void* state, SystemFunction function, const uint64_t* arguments);

namespace detail {

template <auto Function, class Type>
struct SystemHelperOf;

template <auto Function, class... A>
struct SystemHelperOf<Function, isa::riscv::SystemResult (*)(isa::riscv::SystemContext&, A...)> {
    static uint64_t call(void* state, const uint64_t* arguments, uint64_t) {
        return execute_system(state, &apply<std::index_sequence_for<A...>>, arguments);
    }

  private:
    template <class Indices>
    static isa::riscv::SystemResult apply(isa::riscv::SystemContext& context, const uint64_t* arguments) {
        return expand(context, arguments, Indices{});
    }
    template <size_t... I>
    static isa::riscv::SystemResult expand(isa::riscv::SystemContext& context,
                                           [[maybe_unused]] const uint64_t* arguments, std::index_sequence<I...>) {
        return Function(context, static_cast<A>(arguments[I])...);
    }
};

}  // namespace detail

template <auto Function>
using SystemHelper = detail::SystemHelperOf<Function, decltype(Function)>;

template <auto Function>
using Helper = detail::HelperOf<Function, decltype(Function)>;

// The operation that computes Function with this rounding; nullopt: a helper does.
template <auto Function>
std::optional<doppel::translate::Operation> float_operation(isa::fp::Rounding rounding);

}  // namespace doppel::cpu::translate

#include "cpu/translate/float_operations.h"
