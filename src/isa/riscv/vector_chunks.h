// Elementwise operations by pieces of 128 bits, which compilers turn into the host's vector instructions. Private to
// the files vector_*.cpp.
#pragma once

#include <array>
#include <cstring>

#include "isa/riscv/vector_operation.h"

namespace doppel::isa::riscv::vector {

inline constexpr uint64_t kChunkBytes = 16;  // of the smallest register

// vd[i] = op(vs2[i], vs1[i] or scalar, vd[i]) for each active element of the body. Registers that overlap are the same,
// as they hold elements of one width.
template <class T, class Op>
void each_element(Operation& v, const VectorOperands& o, Op op) {
    constexpr uint64_t kElements = kChunkBytes / sizeof(T);
    using Chunk = std::array<T, kElements>;
    const bool is_vector = o.first == Source::kVector;
    uint8_t *d = v.bytes_of(o.vd), *a = v.bytes_of(o.vs2), *b = is_vector ? v.bytes_of(o.vs1) : nullptr;
    const auto scalar = static_cast<T>(o.scalar);
    uint64_t i = v.start();
    const uint64_t end = v.length();
    if (!o.masked && i == 0) {
        Chunk first, second, old;
        first.fill(scalar);
        for (; i + kElements <= end; i += kElements) {
            const uint64_t at = i * sizeof(T);
            std::memcpy(&second, a + at, kChunkBytes);
            std::memcpy(&old, d + at, kChunkBytes);
            if (is_vector) std::memcpy(&first, b + at, kChunkBytes);
            for (uint64_t n = 0; n < kElements; n++) old[n] = static_cast<T>(op(second[n], first[n], old[n]));
            std::memcpy(d + at, &old, kChunkBytes);
        }
    }
    for (; i < end; i++) {
        if (!v.active(i)) continue;
        const T first = is_vector ? v.get<T>(o.vs1, i) : scalar;
        v.set(o.vd, i, static_cast<T>(op(v.get<T>(o.vs2, i), first, v.get<T>(o.vd, i))));
    }
}

}  // namespace doppel::isa::riscv::vector
