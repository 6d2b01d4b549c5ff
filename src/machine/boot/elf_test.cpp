#include "machine/boot/elf.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>

#include "machine/boot/test_files.h"

namespace doppel::machine::boot {
namespace {

using testing::HasSubstr;
using namespace test;

const Origin kOrigin{"read firmware", "f.elf"};

std::string error_of(const Bytes& file) {
    const auto elf = Elf::parse(file, EM_RISCV, kOrigin);
    return elf ? "no error" : elf.error().message();
}

std::string symbol_error_of(const Bytes& file) {
    const auto elf = Elf::parse(file, EM_RISCV, kOrigin);
    if (!elf) return "not an ELF file";
    const auto symbols = elf->read_symbols();
    return symbols ? "no error" : symbols.error().message();
}

template <class T>
Bytes with_field(Bytes file, size_t offset, T value) {
    put(file, offset, value);
    return file;
}

TEST(Elf, GivesSegmentsInPhysicalOrder) {
    TestElf written;
    written.segments = {{0x9000, 0x8000'2000, {1, 2, 3}, 100}, {0x1000, 0x8000'1000, {4, 5}, 2}, {0, 0, {}, 0}};
    written.entry = 0x1001;
    const Bytes file = written.build();
    const auto elf = Elf::parse(file, EM_RISCV, kOrigin);
    ASSERT_TRUE(elf) << elf.error().message();
    ASSERT_EQ(elf->segments().size(), 2u);
    EXPECT_EQ(elf->segments()[0].index, 1u);
    EXPECT_EQ(elf->segments()[0].physical_address, 0x8000'1000u);
    EXPECT_THAT(elf->segments()[0].content, testing::ElementsAre(4, 5));
    EXPECT_EQ(elf->segments()[0].file_offset, TestElf::program_header(3) + 3);
    EXPECT_EQ(elf->segments()[1].virtual_address, 0x9000u);
    EXPECT_EQ(elf->segments()[1].memory_size, 100u);
    EXPECT_EQ(elf->segments()[1].flags, uint32_t{PF_R | PF_X});
    EXPECT_EQ(elf->entry(), 0x1001u);
    EXPECT_EQ(elf->physical_entry(), 0x8000'1001u);
}

TEST(Elf, HasNoPhysicalEntryOutsideItsSegments) {
    TestElf written;
    written.entry = 0x8000'0040;  // just behind
    const Bytes file = written.build();
    const auto elf = Elf::parse(file, EM_RISCV, kOrigin);
    ASSERT_TRUE(elf);
    EXPECT_EQ(elf->physical_entry(), std::nullopt);
}

TEST(Elf, RefusesFilesOfAnotherKindByName) {
    const Bytes file = TestElf().build();
    EXPECT_THAT(error_of({}), HasSubstr("is not an ELF file"));
    EXPECT_THAT(error_of(with_field(file, EI_CLASS, uint8_t{ELFCLASS32})), HasSubstr("is a 32-bit ELF file"));
    EXPECT_THAT(error_of(with_field(file, EI_DATA, uint8_t{ELFDATA2MSB})), HasSubstr("is a big-endian ELF file"));
    EXPECT_THAT(error_of(with_field(file, EI_VERSION, uint8_t{7})), HasSubstr("has a damaged ELF header"));
    const size_t machine = offsetof(Elf64_Ehdr, e_machine);
    EXPECT_EQ(error_of(with_field(file, machine, uint16_t{EM_AARCH64})),
              "read firmware: f.elf: is an ELF file for arm64; give one for riscv64");
    EXPECT_THAT(error_of(with_field(file, machine, uint16_t{0xfff0})), HasSubstr("machine type 65520"));
    const size_t type = offsetof(Elf64_Ehdr, e_type);
    EXPECT_THAT(error_of(with_field(file, type, uint16_t{ET_REL})), HasSubstr("is an ELF object file"));
    EXPECT_THAT(error_of(with_field(file, type, uint16_t{ET_CORE})), HasSubstr("is an ELF core dump"));
}

TEST(Elf, RefusesEveryTruncation) {
    const Bytes file = TestElf().build();
    for (size_t size = 0; size < file.size(); size++) {
        EXPECT_NE(error_of(Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size))), "no error") << size;
    }
    EXPECT_EQ(error_of(file), "no error");
}

TEST(Elf, RefusesWildProgramHeaders) {
    const Bytes file = TestElf().build();
    const size_t first = TestElf::program_header(0);
    EXPECT_THAT(error_of(with_field(file, offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 8)),
                HasSubstr("its program headers reach beyond the end of the file"));
    EXPECT_THAT(error_of(with_field(file, offsetof(Elf64_Ehdr, e_phnum), uint16_t{0})),
                HasSubstr("has no program headers"));
    EXPECT_THAT(error_of(with_field(file, offsetof(Elf64_Ehdr, e_phnum), uint16_t{PN_XNUM})),
                HasSubstr("damaged ELF header"));
    EXPECT_THAT(error_of(with_field(file, offsetof(Elf64_Ehdr, e_phentsize), uint16_t{1})),
                HasSubstr("damaged ELF header"));
    EXPECT_THAT(error_of(with_field(file, first + offsetof(Elf64_Phdr, p_offset), UINT64_MAX)),
                HasSubstr("program header 0 reaches beyond the end of the file"));
    EXPECT_THAT(error_of(with_field(file, first + offsetof(Elf64_Phdr, p_filesz), uint64_t{65})),
                HasSubstr("program header 0 holds more bytes than it has memory for"));
    EXPECT_THAT(error_of(with_field(file, first + offsetof(Elf64_Phdr, p_memsz), UINT64_MAX)),
                HasSubstr("program header 0 reaches beyond the end of the address space"));
    EXPECT_THAT(error_of(with_field(file, first + offsetof(Elf64_Phdr, p_type), uint32_t{PT_NOTE})),
                HasSubstr("has nothing to load"));
}

TEST(Elf, TakesASegmentThatEndsWithTheAddressSpace) {
    TestElf written;
    written.segments = {{UINT64_MAX - 15, UINT64_MAX - 15, Bytes(16), 16}};
    EXPECT_EQ(error_of(written.build()), "no error");
}

TEST(Elf, RefusesSegmentsThatOverlapInPhysicalMemoryOnly) {
    TestElf written;
    written.segments = {{0, 0x8000'1000, {}, 0x1000}, {0, 0x8000'0000, {}, 0x1000}};
    EXPECT_EQ(error_of(written.build()), "no error");
    written.segments[1].memory_size++;
    EXPECT_EQ(error_of(written.build()),
              "read firmware: f.elf: program headers 0 and 1 overlap in physical memory; correct its linker script");
}

class ElfSymbols : public testing::Test {
  protected:
    SymbolTable read() {
        file_ = written_.build();
        const auto elf = Elf::parse(file_, EM_RISCV, kOrigin);
        EXPECT_TRUE(elf);
        auto symbols = elf->read_symbols();
        EXPECT_TRUE(symbols) << symbols.error().message();
        return std::move(*symbols);
    }
    TestElf written_;
    Bytes file_;
};

TEST_F(ElfSymbols, AreFoundByNameAGlobalOneFirst) {
    written_.symbols = {{"tohost", 1, 8, ELF64_ST_INFO(STB_LOCAL, STT_OBJECT)},
                        {"tohost", 0x8000'1000, 8, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT)},
                        {"tohosts", 3}};
    const SymbolTable symbols = read();
    ASSERT_TRUE(symbols.find("tohost"));
    EXPECT_EQ(symbols.find("tohost")->address, 0x8000'1000u);
    EXPECT_EQ(symbols.find("tohos"), std::nullopt);
    EXPECT_EQ(symbols.find("fromhost"), std::nullopt);
    EXPECT_EQ(symbols.find(""), std::nullopt);
}

TEST_F(ElfSymbols, AreFoundByAnAddressInside) {
    written_.symbols = {{"end", 0x300}, {"main", 0x100, 0x80}, {"alias", 0x100, 0x10}, {"$x", 0x110}, {".L4", 0x120}};
    const SymbolTable symbols = read();
    EXPECT_EQ(symbols.size(), 3u);
    EXPECT_FALSE(symbols.at(0xff));
    EXPECT_EQ(symbols.at(0x100)->name, "main");
    EXPECT_EQ(symbols.at(0x17f)->name, "main");
    EXPECT_FALSE(symbols.at(0x180));
    EXPECT_EQ(symbols.at(0x1000)->name, "end") << "a label without a size reaches to the next one";
}

TEST_F(ElfSymbols, OutliveTheFile) {
    written_.symbols = {{"main", 0x100, 0x80}};
    const SymbolTable symbols = read();
    std::fill(file_.begin(), file_.end(), uint8_t{0xff});
    EXPECT_EQ(symbols.at(0x100)->name, "main");
}

TEST_F(ElfSymbols, AreNoneInAStrippedFile) {
    EXPECT_EQ(read().size(), 0u);
}

TEST_F(ElfSymbols, WithWildTablesAreRefused) {
    written_.symbols = {{"main", 0x100, 0x80}};
    const Bytes file = written_.build();
    const auto sections = load_le<uint64_t>(file.data() + offsetof(Elf64_Ehdr, e_shoff));
    const size_t symtab = sections + sizeof(Elf64_Shdr);
    const auto symbols = load_le<uint64_t>(file.data() + symtab + offsetof(Elf64_Shdr, sh_offset));
    EXPECT_THAT(symbol_error_of(with_field(file, offsetof(Elf64_Ehdr, e_shoff), UINT64_MAX)),
                HasSubstr("its section table"));
    EXPECT_THAT(symbol_error_of(with_field(file, offsetof(Elf64_Ehdr, e_shnum), uint16_t{4})),
                HasSubstr("its section table"));
    EXPECT_THAT(symbol_error_of(with_field(file, symtab + offsetof(Elf64_Shdr, sh_size), UINT64_MAX)),
                HasSubstr("its symbol table reaches beyond the end of the file"));
    EXPECT_THAT(symbol_error_of(with_field(file, symtab + offsetof(Elf64_Shdr, sh_link), uint32_t{3})),
                HasSubstr("its symbol names"));
    EXPECT_THAT(symbol_error_of(with_field(file, symbols + sizeof(Elf64_Sym), uint32_t{100})),
                HasSubstr("its symbol names"));
}

TEST_F(ElfSymbols, AreReadWhenTheSectionCountStandsInSectionZero) {
    written_.symbols = {{"main", 0x100, 0x80}};
    Bytes file = written_.build();
    const auto sections = load_le<uint64_t>(file.data() + offsetof(Elf64_Ehdr, e_shoff));
    put(file, offsetof(Elf64_Ehdr, e_shnum), uint16_t{0});
    put(file, sections + offsetof(Elf64_Shdr, sh_size), uint64_t{3});
    EXPECT_EQ(symbol_error_of(file), "no error");
    put(file, sections + offsetof(Elf64_Shdr, sh_size),
        UINT64_MAX / 64 + 4);  // wraps around when multiplied carelessly
    EXPECT_THAT(symbol_error_of(file), HasSubstr("its section table"));
}

}  // namespace
}  // namespace doppel::machine::boot
