// Which vector instructions are illegal in which state of the vector unit: cases that are run one by one, each with
// a verdict.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "random.h"
#include "subject.h"

namespace doppel::differential {

// An instruction and the state that it meets.
struct Case {
    uint32_t instruction;
    uint32_t type;       // what vtype is set to; vill when it is reserved
    uint32_t length;     // and vl is asked to be
    uint32_t next_type;  // what vsetvl finds in kTypeRegister
    uint8_t start;       // vstart
    uint8_t rounding;    // frm
};

// As the program writes it.
struct Verdict {
    uint64_t signal;  // 0: the instruction completed
    uint64_t vl, vtype, vstart;

    bool illegal() const { return signal == kSignalIllegal; }
    bool operator==(const Verdict&) const = default;
};

// The tables' vector instructions in every legal type and in an illegal one, `each` times with generated operands.
std::vector<Case> cases_of_table(Random& random, unsigned each);
// Random bits in the major opcodes that vectors have.
std::vector<Case> cases_of_encodings(Random& random, uint64_t count);

struct Verdicts {
    std::vector<Verdict> reference, engine;
};
// An error when not all cases came to an end in both.
Result<Verdicts> judge(const std::string& qemu, const cpu::Engine& engine, std::span<const Case> cases,
                       unsigned vector_bits);

std::string describe(const Case& one, const Verdict& reference, const Verdict& engine);

}  // namespace doppel::differential
