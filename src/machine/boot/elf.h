// A strict reader of 64-bit little-endian ELF files (System V ABI, "Object Files"), for kernels and bare-metal
// programs. The file is hostile: every offset, size and index is checked before it is used.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "machine/boot/origin.h"

namespace doppel::machine::boot {

// One PT_LOAD program header with a size in memory. Neither address range wraps around; content.size() <= memory_size.
struct ElfSegment {
    unsigned index;  // of the program header
    uint64_t file_offset;
    uint64_t virtual_address;
    uint64_t physical_address;
    std::span<const uint8_t> content;  // into the file; zeroes follow up to memory_size
    uint64_t memory_size;              // bytes, not 0
    uint32_t flags;                    // PF_R, PF_W, PF_X
};

struct Symbol {
    uint64_t address;
    uint64_t size;  // bytes; 0 when the program did not say
    std::string_view name;
};

// Defined functions, objects and labels. Owns its names, so it outlives the file. Immutable, hence thread-safe.
class SymbolTable {
  public:
    struct Entry {
        uint64_t address;
        uint64_t size;
        uint32_t name;  // offset of a NUL-terminated string in the names
        bool global;
    };

    SymbolTable() = default;
    SymbolTable(std::vector<Entry> entries,
                std::string names);  // name offsets are below names.size(); names ends with a NUL

    size_t size() const { return entries_.size(); }
    // The symbol of that name, a global one before a local one.
    std::optional<Symbol> find(std::string_view name) const;
    // The symbol that covers `address`: the nearest one at or below it whose size, where it has one, reaches that far.
    std::optional<Symbol> at(uint64_t address) const;

  private:
    Symbol symbol(const Entry& entry) const;
    std::vector<Entry> entries_;  // ascending address, then size
    std::string names_;
};

// The file's bytes must outlive this.
class Elf {
  public:
    // An executable (ET_EXEC, ET_DYN) for `machine`, an EM_ constant of <elf.h>, with at least one loadable segment;
    // segments do not overlap in physical memory.
    static Result<Elf> parse(std::span<const uint8_t> file, uint16_t machine, const Origin& origin);

    uint64_t entry() const { return entry_; }  // e_entry, a virtual address
    // Ascending physical address, at least one.
    std::span<const ElfSegment> segments() const { return segments_; }
    // The physical address of e_entry by the segment that holds it: the program starts before address translation is
    // on.
    std::optional<uint64_t> physical_entry() const;
    // ET_DYN: it runs wherever it lies.
    bool position_independent() const { return position_independent_; }
    // Whether it asks for a dynamic linker (PT_INTERP): a user program.
    bool has_interpreter() const { return has_interpreter_; }
    // Of .symtab; empty in a stripped file.
    Result<SymbolTable> read_symbols() const;

  private:
    Elf(std::span<const uint8_t> file, Origin origin) : file_(file), origin_(std::move(origin)) {}
    Result<> read_program_headers();
    Result<> add_segment(unsigned index, const uint8_t* header);
    Result<> check_overlap() const;

    std::span<const uint8_t> file_;
    Origin origin_;
    uint64_t entry_ = 0;
    bool has_interpreter_ = false;
    bool position_independent_ = false;
    std::vector<ElfSegment> segments_;
};

bool is_elf(std::span<const uint8_t> file);

// "arm64", "x86-64"; "machine type 123" for an unknown EM_ constant.
std::string elf_machine_name(uint16_t machine);

}  // namespace doppel::machine::boot
