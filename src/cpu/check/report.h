// A difference between translated code and the interpreter, and the text that tells of it.
#pragma once

#include <string>
#include <vector>

#include "cpu/check/registers.h"
#include "cpu/interpret/native_tier.h"

namespace doppel::cpu::check {

struct MemoryDifference {
    uint64_t physical;  // guest physical, a multiple of 8
    uint64_t before, interpreted, translated;
};

struct Difference {
    // Where blocks begin, in the order of their execution; a chain's first blocks only.
    std::vector<interpret::CodePlace> blocks;
    int64_t limit = 0;          // of instructions, that translated code was run with
    uint64_t instructions = 0;  // that it executed
    Registers before, interpreted, translated;
    std::vector<MemoryDifference> memory;    // the first ones
    std::vector<uint64_t> only_interpreted;  // pages, by guest physical address, that translated code did not write
    bool interpreted_left = false;           // the interpreter trapped on the way
};

// Many lines: guest code, its intermediate representation, and both states. The blocks' code is there still.
std::string describe(const Difference& difference, const isa::riscv::Hart& hart);

}  // namespace doppel::cpu::check
