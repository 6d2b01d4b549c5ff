// The guest program: a harness that runs sequences one after the other, kPasses times over (the second time engines
// find them in their caches), and writes the state that each leaves to descriptor 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sequence.h"

namespace doppel::differential {

// Where it lies in memory, virtual and physical alike.
inline constexpr uint64_t kTextBase = 0x10000000;
inline constexpr uint64_t kInputBase = 0x20000000;
inline constexpr uint64_t kScratchPages = 0x40000000;
inline constexpr uint64_t kScratchPagesBytes = 0x4000;
inline constexpr uint64_t kStackPointer = kScratchPages + 0x1000;

inline constexpr unsigned kPasses = 2;

// The Linux system calls that programs make.
inline constexpr uint64_t kSystemCallWrite = 64, kSystemCallExit = 93, kSystemCallSigaction = 134;
// The signals that a handler may be set for.
inline constexpr uint64_t kSignalIllegal = 4, kSignalSegmentation = 11;

struct Program {
    std::vector<uint8_t> text;     // entry at its start
    std::vector<uint8_t> inputs;   // a State each, as much as is used
    std::vector<uint64_t> starts;  // address of each sequence's first own instruction
    unsigned vector_bits = 0;      // VLEN; 0: no vector unit

    size_t state_size() const { return state_bytes(vector_bits); }
};

Program build_program(std::span<const Sequence> sequences, unsigned vector_bits);

// A static ELF executable of it.
std::vector<uint8_t> elf_file(const Program& program);

// The sequence as assembly, a line an instruction, as it lies at `address`.
std::string listing(const Sequence& sequence, uint64_t address);

}  // namespace doppel::differential
