// Names for the guest's code addresses, from the ELF files that it was started from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/boot/elf.h"

namespace doppel::machine::trace {

// Read-only once harts run, hence thread-safe.
class Symbols {
  public:
    // `biases`: what is added, modulo 2^64, to the file's addresses where its code is found; several for code that
    // runs before and after address translation is on.
    void add(boot::SymbolTable table, std::vector<uint64_t> biases);
    // "start_kernel+0x10", printable; empty when no symbol covers `address`. Earlier tables first.
    std::string name(uint64_t address) const;

  private:
    struct Loaded {
        boot::SymbolTable table;
        std::vector<uint64_t> biases;
    };
    std::vector<Loaded> loaded_;
};

}  // namespace doppel::machine::trace
