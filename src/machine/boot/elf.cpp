#include "machine/boot/elf.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "base/byte_order.h"

namespace doppel::machine::boot {

namespace {

constexpr char kBuildForRiscv[] = "build it as a 64-bit riscv64 executable";

// A field of the file's Elf64_* structure that starts at `base`; the caller has checked that the structure is inside
// the file.
#define ELF_FIELD(base, structure, field) load_le<decltype(structure::field)>((base) + offsetof(structure, field))

// The part of the file at `offset`, or nothing when it reaches beyond the end.
std::optional<std::span<const uint8_t>> part(std::span<const uint8_t> file, uint64_t offset, uint64_t size) {
    if (offset > file.size() || size > file.size() - offset) return std::nullopt;
    return file.subspan(offset, size);
}

Result<> check_identity(std::span<const uint8_t> file, uint16_t machine, const Origin& origin) {
    if (!is_elf(file)) return fail(origin.error("is not an ELF file", kBuildForRiscv));
    if (file.size() < EI_NIDENT) return fail(origin.error("is truncated inside the ELF header", kWholeCopy));
    if (file[EI_DATA] == ELFDATA2MSB) return fail(origin.error("is a big-endian ELF file", kBuildForRiscv));
    if (file[EI_CLASS] == ELFCLASS32) return fail(origin.error("is a 32-bit ELF file", kBuildForRiscv));
    if (file[EI_DATA] != ELFDATA2LSB || file[EI_CLASS] != ELFCLASS64 || file[EI_VERSION] != EV_CURRENT) {
        return fail(origin.error("has a damaged ELF header", kWholeCopy));
    }
    if (file.size() < sizeof(Elf64_Ehdr)) {
        return fail(origin.error("is truncated inside the ELF header", kWholeCopy));
    }
    const auto actual = ELF_FIELD(file.data(), Elf64_Ehdr, e_machine);
    if (actual != machine) {
        return fail(origin.error(fmt::format("is an ELF file for {}", elf_machine_name(actual)),
                                 fmt::format("give one for {}", elf_machine_name(machine))));
    }
    switch (ELF_FIELD(file.data(), Elf64_Ehdr, e_type)) {
        case ET_EXEC:
        case ET_DYN:
            return {};
        case ET_REL:
            return fail(origin.error("is an ELF object file, not an executable", "link it first"));
        case ET_CORE:
            return fail(origin.error("is an ELF core dump, not an executable", kBuildForRiscv));
        default:
            return fail(origin.error("is not an ELF executable", kBuildForRiscv));
    }
}

bool wraps_around(uint64_t address, uint64_t size) {
    return size != 0 && address > UINT64_MAX - (size - 1);
}

struct Section {
    uint32_t type;
    uint32_t link;
    uint64_t offset;
    uint64_t size;
    uint64_t entry_size;
};

class SectionTable {
  public:
    static std::optional<SectionTable> read(std::span<const uint8_t> file) {
        const uint64_t offset = ELF_FIELD(file.data(), Elf64_Ehdr, e_shoff);
        uint64_t count = ELF_FIELD(file.data(), Elf64_Ehdr, e_shnum);
        if (offset == 0) return SectionTable();
        if (ELF_FIELD(file.data(), Elf64_Ehdr, e_shentsize) != sizeof(Elf64_Shdr)) return std::nullopt;
        if (count == 0) {  // more than SHN_LORESERVE sections: the count stands in section 0 (gABI, "Section Header")
            const auto first = part(file, offset, sizeof(Elf64_Shdr));
            if (!first) return std::nullopt;
            count = ELF_FIELD(first->data(), Elf64_Shdr, sh_size);
        }
        if (count > file.size() / sizeof(Elf64_Shdr)) return std::nullopt;
        const auto headers = part(file, offset, count * sizeof(Elf64_Shdr));
        if (!headers) return std::nullopt;
        SectionTable table;
        table.headers_ = *headers;
        return table;
    }
    size_t count() const { return headers_.size() / sizeof(Elf64_Shdr); }
    Section at(size_t index) const {
        const uint8_t* header = headers_.data() + index * sizeof(Elf64_Shdr);
        return {ELF_FIELD(header, Elf64_Shdr, sh_type), ELF_FIELD(header, Elf64_Shdr, sh_link),
                ELF_FIELD(header, Elf64_Shdr, sh_offset), ELF_FIELD(header, Elf64_Shdr, sh_size),
                ELF_FIELD(header, Elf64_Shdr, sh_entsize)};
    }

  private:
    std::span<const uint8_t> headers_;
};

// Sections, files, and the assembler's own marks ($x, $d, .L1) say nothing about a place in a program.
// `name` is looked at no further than needed: in a hostile file all symbols may share one enormous name.
bool is_worth_keeping(uint8_t type, uint16_t section, const char* name) {
    if (section == SHN_UNDEF || name[0] == '\0' || name[0] == '$' || (name[0] == '.' && name[1] == 'L')) return false;
    return type == STT_NOTYPE || type == STT_FUNC || type == STT_OBJECT || type == STT_GNU_IFUNC;
}

// Nothing when a symbol's name lies outside `names`.
std::optional<SymbolTable> make_symbol_table(std::span<const uint8_t> symbols, std::string names) {
    names.push_back('\0');
    std::vector<SymbolTable::Entry> entries;
    for (size_t at = 0; at + sizeof(Elf64_Sym) <= symbols.size(); at += sizeof(Elf64_Sym)) {
        const uint8_t* symbol = symbols.data() + at;
        const uint32_t name = ELF_FIELD(symbol, Elf64_Sym, st_name);
        if (name >= names.size()) return std::nullopt;
        const uint8_t info = ELF_FIELD(symbol, Elf64_Sym, st_info);
        const uint16_t section = ELF_FIELD(symbol, Elf64_Sym, st_shndx);
        if (!is_worth_keeping(ELF64_ST_TYPE(info), section, names.c_str() + name)) continue;
        entries.push_back({ELF_FIELD(symbol, Elf64_Sym, st_value), ELF_FIELD(symbol, Elf64_Sym, st_size), name,
                           ELF64_ST_BIND(info) != STB_LOCAL});
    }
    return SymbolTable(std::move(entries), std::move(names));
}

}  // namespace

SymbolTable::SymbolTable(std::vector<Entry> entries, std::string names)
    : entries_(std::move(entries)), names_(std::move(names)) {
    std::ranges::stable_sort(entries_, [](const Entry& a, const Entry& b) {
        return std::tie(a.address, a.size) < std::tie(b.address, b.size);
    });
}

Symbol SymbolTable::symbol(const Entry& entry) const {
    return {entry.address, entry.size, names_.c_str() + entry.name};
}

std::optional<Symbol> SymbolTable::find(std::string_view name) const {
    const std::string terminated = std::string(name) + '\0';
    const Entry* found = nullptr;
    for (const Entry& entry : entries_) {
        if (names_.compare(entry.name, terminated.size(), terminated) != 0) continue;
        if (entry.global) return symbol(entry);
        if (found == nullptr) found = &entry;
    }
    if (found == nullptr) return std::nullopt;
    return symbol(*found);
}

std::optional<Symbol> SymbolTable::at(uint64_t address) const {
    const auto above = std::ranges::upper_bound(entries_, address, {}, &Entry::address);
    if (above == entries_.begin()) return std::nullopt;
    const Entry& entry = *std::prev(above);
    if (entry.size != 0 && address - entry.address >= entry.size) return std::nullopt;
    return symbol(entry);
}

Result<Elf> Elf::parse(std::span<const uint8_t> file, uint16_t machine, const Origin& origin) {
    DOPPEL_CHECK(check_identity(file, machine, origin));
    Elf elf(file, origin);
    elf.entry_ = ELF_FIELD(file.data(), Elf64_Ehdr, e_entry);
    elf.position_independent_ = ELF_FIELD(file.data(), Elf64_Ehdr, e_type) == ET_DYN;
    DOPPEL_CHECK(elf.read_program_headers());
    std::ranges::sort(elf.segments_, {}, &ElfSegment::physical_address);
    DOPPEL_CHECK(elf.check_overlap());
    return elf;
}

Result<> Elf::read_program_headers() {
    const uint64_t offset = ELF_FIELD(file_.data(), Elf64_Ehdr, e_phoff);
    const unsigned count = ELF_FIELD(file_.data(), Elf64_Ehdr, e_phnum);
    if (count == 0) return fail(origin_.error("has no program headers", "link it as an executable"));
    if (count == PN_XNUM || ELF_FIELD(file_.data(), Elf64_Ehdr, e_phentsize) != sizeof(Elf64_Phdr)) {
        return fail(origin_.error("has a damaged ELF header", kWholeCopy));
    }
    const auto headers = part(file_, offset, uint64_t{count} * sizeof(Elf64_Phdr));
    if (!headers) return fail(origin_.error("its program headers reach beyond the end of the file", kWholeCopy));

    for (unsigned i = 0; i < count; i++) {
        const uint8_t* header = headers->data() + i * sizeof(Elf64_Phdr);
        const auto type = ELF_FIELD(header, Elf64_Phdr, p_type);
        if (type == PT_INTERP) has_interpreter_ = true;
        if (type == PT_LOAD) DOPPEL_CHECK(add_segment(i, header));
    }
    if (segments_.empty()) return fail(origin_.error("has nothing to load", "link it as an executable"));
    return {};
}

Result<> Elf::add_segment(unsigned index, const uint8_t* header) {
    const auto damaged = [this, index](std::string_view what) {
        return fail(origin_.error(fmt::format("program header {} {}", index, what), kWholeCopy));
    };
    const uint64_t memory_size = ELF_FIELD(header, Elf64_Phdr, p_memsz);
    const uint64_t file_size = ELF_FIELD(header, Elf64_Phdr, p_filesz);
    if (file_size > memory_size) return damaged("holds more bytes than it has memory for");
    if (memory_size == 0) return {};
    ElfSegment segment{.index = index, .memory_size = memory_size};
    segment.file_offset = ELF_FIELD(header, Elf64_Phdr, p_offset);
    segment.virtual_address = ELF_FIELD(header, Elf64_Phdr, p_vaddr);
    segment.physical_address = ELF_FIELD(header, Elf64_Phdr, p_paddr);
    segment.flags = ELF_FIELD(header, Elf64_Phdr, p_flags);
    const auto content = part(file_, segment.file_offset, file_size);
    if (!content) return damaged("reaches beyond the end of the file");
    segment.content = *content;
    if (wraps_around(segment.virtual_address, memory_size) || wraps_around(segment.physical_address, memory_size)) {
        return damaged("reaches beyond the end of the address space");
    }
    segments_.push_back(segment);
    return {};
}

Result<> Elf::check_overlap() const {
    for (size_t i = 1; i < segments_.size(); i++) {
        const ElfSegment& low = segments_[i - 1];
        const ElfSegment& high = segments_[i];
        if (high.physical_address - low.physical_address < low.memory_size) {
            return fail(origin_.error(fmt::format("program headers {} and {} overlap in physical memory",
                                                  std::min(low.index, high.index), std::max(low.index, high.index)),
                                      "correct its linker script"));
        }
    }
    return {};
}

std::optional<uint64_t> Elf::physical_entry() const {
    for (const ElfSegment& segment : segments_) {
        if (entry_ - segment.virtual_address < segment.memory_size) {
            return segment.physical_address + (entry_ - segment.virtual_address);
        }
    }
    return std::nullopt;
}

Result<SymbolTable> Elf::read_symbols() const {
    const auto damaged = [this](std::string_view what) {
        return fail(origin_.error(fmt::format("its {} reaches beyond the end of the file", what), kWholeCopy));
    };
    const auto sections = SectionTable::read(file_);
    if (!sections) return damaged("section table");
    for (size_t i = 0; i < sections->count(); i++) {
        const Section section = sections->at(i);
        if (section.type != SHT_SYMTAB) continue;  // a file has at most one (gABI, "Sections")
        const auto symbols = part(file_, section.offset, section.size);
        if (!symbols || section.entry_size != sizeof(Elf64_Sym)) return damaged("symbol table");
        if (section.link >= sections->count()) return damaged("symbol names");
        const Section strings = sections->at(section.link);
        const auto names = part(file_, strings.offset, strings.size);
        if (!names || strings.type != SHT_STRTAB || names->size() > UINT32_MAX) return damaged("symbol names");
        auto table = make_symbol_table(*symbols, std::string(names->begin(), names->end()));
        if (!table) return damaged("symbol names");
        return std::move(*table);
    }
    return SymbolTable();
}

bool is_elf(std::span<const uint8_t> file) {
    return has_magic(file, 0, ELFMAG);
}

std::string elf_machine_name(uint16_t machine) {
    switch (machine) {
        case EM_RISCV:
            return "riscv64";
        case EM_X86_64:
            return "x86-64";
        case EM_386:
            return "x86";
        case EM_AARCH64:
            return "arm64";
        case EM_ARM:
            return "arm";
        case EM_PPC64:
            return "ppc64";
        case EM_S390:
            return "s390x";
        case EM_MIPS:
            return "mips";
        case 258:  // EM_LOONGARCH, missing from older <elf.h>
            return "loongarch64";
        default:
            return fmt::format("machine type {}", machine);
    }
}

}  // namespace doppel::machine::boot
