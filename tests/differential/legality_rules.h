// What the reference decides otherwise than the specification, or where the specification leaves the choice.
#pragma once

#include <string_view>

#include "legality.h"

namespace doppel::differential {

// Whether the instruction reads a vector register with two element widths, in a legal type. Reserved, an illegal
// instruction to doppel; QEMU 10.0 executes it. Source: RISC-V unprivileged manual, chapter "V", "Vector
// Operands": "A vector register cannot be used to provide source operands with more than one EEW for a single
// instruction. A mask register source is considered to have EEW=1 for this constraint."
bool reads_two_widths(const Case& one);

enum class Agreement : uint8_t {
    kSame,
    kKnown,  // by a rule of this file
    kDiffer,
};
Agreement agreement(const Case& one, const Verdict& reference, const Verdict& engine);

}  // namespace doppel::differential
