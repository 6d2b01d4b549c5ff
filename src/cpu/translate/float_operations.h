// Which functions of isa/float/float.h are operations of the intermediate representation. Part of helpers.h.
#pragma once

#include "cpu/translate/helpers.h"

namespace doppel::cpu::translate {

namespace detail {

// As types, because compilers with sanitizers do not compare addresses of functions in constants.
template <auto>
struct Named {};
template <auto Function, auto... Candidates>
constexpr bool is_one_of() {
    return (... || std::is_same_v<Named<Function>, Named<Candidates>>);
}
template <auto Of32, auto Of64, auto Function>
constexpr bool kIs = is_one_of<Function, Of32, Of64>();

}  // namespace detail

template <auto Function>
std::optional<doppel::translate::Operation> float_operation(isa::fp::Rounding rounding) {
    namespace fp = isa::fp;
    using doppel::translate::Operation;
    using fp::Binary32, fp::Binary64;
    bool nearest = rounding == fp::Rounding::kNearestEven;
    auto if_nearest = [&](Operation operation) { return nearest ? std::optional(operation) : std::nullopt; };
#define BOTH(name) (detail::kIs<&fp::name<Binary32>, &fp::name<Binary64>, Function>)
    if constexpr (BOTH(add)) return if_nearest(Operation::kFloatAdd);
    if constexpr (BOTH(sub)) return if_nearest(Operation::kFloatSub);
    if constexpr (BOTH(mul)) return if_nearest(Operation::kFloatMul);
    if constexpr (BOTH(div)) return if_nearest(Operation::kFloatDiv);
    if constexpr (BOTH(sqrt)) return if_nearest(Operation::kFloatSqrt);
    if constexpr (BOTH(fmadd)) return if_nearest(Operation::kFloatMadd);
    if constexpr (BOTH(fmsub)) return if_nearest(Operation::kFloatMsub);
    if constexpr (BOTH(fnmsub)) return if_nearest(Operation::kFloatNmsub);
    if constexpr (BOTH(fnmadd)) return if_nearest(Operation::kFloatNmadd);
    if constexpr (BOTH(min)) return Operation::kFloatMin;
    if constexpr (BOTH(max)) return Operation::kFloatMax;
    if constexpr (BOTH(eq)) return Operation::kFloatEq;
    if constexpr (BOTH(lt)) return Operation::kFloatLt;
    if constexpr (BOTH(le)) return Operation::kFloatLe;
#undef BOTH
    constexpr bool kToSigned =
        detail::kIs<&fp::to_integer<int32_t, Binary32>, &fp::to_integer<int32_t, Binary64>, Function> ||
        detail::kIs<&fp::to_integer<int64_t, Binary32>, &fp::to_integer<int64_t, Binary64>, Function>;
    if constexpr (kToSigned) {
        bool truncates = rounding == fp::Rounding::kTowardZero;
        return nearest || truncates ? std::optional(Operation::kFloatToSigned) : std::nullopt;
    }
    constexpr bool kFromSigned =
        detail::kIs<&fp::from_integer<Binary32, int32_t>, &fp::from_integer<Binary64, int32_t>, Function> ||
        detail::kIs<&fp::from_integer<Binary32, int64_t>, &fp::from_integer<Binary64, int64_t>, Function>;
    if constexpr (kFromSigned) return if_nearest(Operation::kFloatFromSigned);
    constexpr bool kFromUnsigned32 =
        detail::kIs<&fp::from_integer<Binary32, uint32_t>, &fp::from_integer<Binary64, uint32_t>, Function>;
    if constexpr (kFromUnsigned32) return if_nearest(Operation::kFloatFromUnsigned);
    constexpr bool kConvert = detail::kIs<&fp::convert<Binary32, Binary64>, &fp::convert<Binary64, Binary32>, Function>;
    if constexpr (kConvert) return if_nearest(Operation::kFloatConvert);
    return std::nullopt;
}

}  // namespace doppel::cpu::translate
