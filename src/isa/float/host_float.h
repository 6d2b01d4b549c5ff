// The host's floating-point unit: native values, and an environment in which operations run with a chosen rounding and
// their exceptions can be read. SSE and FMA3 on x86-64, <cfenv> elsewhere. Internal to this folder.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "isa/float/format.h"

#if defined(__x86_64__) && !defined(DOPPEL_FLOAT_CFENV)
#include <immintrin.h>
#define DOPPEL_FLOAT_SSE 1
#else
#include <cfenv>
#include <cmath>
#endif

namespace doppel::isa::fp::host {

template <class F>
using Native = std::conditional_t<std::is_same_v<F, Binary32>, float, double>;

// Operands pass through `pin` after the environment is set, and results before it is read: the compiler can then
// neither fold an operation nor move it out of the environment (volatile asm statements keep their order).
template <class T>
inline T pin(T value) {
#ifdef DOPPEL_FLOAT_SSE
    asm volatile("" : "+x"(value));
#else
    asm volatile("" : "+m"(value));
#endif
    return value;
}

#ifdef DOPPEL_FLOAT_SSE

inline constexpr bool kTinyIsAfterRounding = true;  // Intel SDM volume 1, 4.9.1.5

inline bool has_fma() {
    return __builtin_cpu_supports("fma");
}

inline float sqrt(float a) {
    return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(a)));
}
inline double sqrt(double a) {
    return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(a)));
}

// In assembly because the rest of the program is compiled for hosts without FMA3.
inline float fma(float a, float b, float c) {
    asm("vfmadd213ss %2, %1, %0" : "+x"(a) : "x"(b), "x"(c));
    return a;
}
inline double fma(double a, double b, double c) {
    asm("vfmadd213sd %2, %1, %0" : "+x"(a) : "x"(b), "x"(c));
    return a;
}

// From construction to destruction operations round by `rounding` (not kNearestMaxMagnitude).
class Environment {
  public:
    explicit Environment(Rounding rounding) : rounding_(rounding) {
        // MXCSR.RC: 0 nearest even, 1 down, 2 up, 3 toward zero; by RISC-V's encoding:
        constexpr std::array<uint32_t, 4> kControl = {kDefault, kDefault | 3 << 13, kDefault | 1 << 13,
                                                      kDefault | 2 << 13};
        _mm_setcsr(kControl[static_cast<size_t>(rounding) & 3]);
    }
    ~Environment() {
        if (rounding_ != Rounding::kNearestEven) _mm_setcsr(kDefault);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

    Flags raised() const {
        uint32_t status = _mm_getcsr();  // IE 0, DE 1, ZE 2, OE 3, UE 4, PE 5
        return ((status >> 5) & kInexact) | ((status >> 3) & kUnderflow) | ((status >> 1) & kOverflow) |
               ((status << 1) & kDivideByZero) | ((status << 4) & kInvalid);
    }

  private:
    static constexpr uint32_t kDefault = 0x1f80;  // all exceptions masked, nearest even, no DAZ, no FTZ, nothing raised
    Rounding rounding_;
};

#else

// IEEE 754 leaves the choice to the host; whoever computes corrects the one result for which it matters.
inline constexpr bool kTinyIsAfterRounding = false;

inline bool has_fma() {
    return true;
}

inline float sqrt(float a) {
    return std::sqrt(a);
}
inline double sqrt(double a) {
    return std::sqrt(a);
}
inline float fma(float a, float b, float c) {
    return std::fma(a, b, c);
}
inline double fma(double a, double b, double c) {
    return std::fma(a, b, c);
}

class Environment {
  public:
    explicit Environment(Rounding rounding) : rounding_(rounding) {
        constexpr std::array<int, 4> kModes = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
        if (rounding != Rounding::kNearestEven) std::fesetround(kModes[static_cast<size_t>(rounding) & 3]);
        std::feclearexcept(FE_ALL_EXCEPT);
    }
    ~Environment() {
        if (rounding_ != Rounding::kNearestEven) std::fesetround(FE_TONEAREST);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

    Flags raised() const {
        int status = std::fetestexcept(FE_ALL_EXCEPT);
        return ((status & FE_INEXACT) != 0 ? kInexact : 0) | ((status & FE_UNDERFLOW) != 0 ? kUnderflow : 0) |
               ((status & FE_OVERFLOW) != 0 ? kOverflow : 0) | ((status & FE_DIVBYZERO) != 0 ? kDivideByZero : 0) |
               ((status & FE_INVALID) != 0 ? kInvalid : 0);
    }

  private:
    Rounding rounding_;
};

#endif

}  // namespace doppel::isa::fp::host
