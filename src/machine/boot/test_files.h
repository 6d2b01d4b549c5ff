// For tests and fuzzers of this folder: kernels and ELF files, built byte by byte.
#pragma once

#include <elf.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_order.h"

namespace doppel::machine::boot::test {

using Bytes = std::vector<uint8_t>;

inline Bytes bytes_of(std::string_view text) {
    return Bytes(text.begin(), text.end());
}

inline void put_text(Bytes& file, size_t offset, std::string_view text) {
    std::memcpy(file.data() + offset, text.data(), text.size());
}

template <class T>
void put(Bytes& file, size_t offset, T value) {
    store_le(file.data() + offset, value);
}

struct ImageHeader {
    uint64_t text_offset = 2 << 20;
    uint64_t image_size = 1 << 20;
    uint64_t flags = 0;
};

// A flat riscv Image whose body is a pattern.
inline Bytes make_image(size_t size = 8192, ImageHeader header = {}) {
    Bytes file(size);
    for (size_t i = 0; i < size; i++) file[i] = static_cast<uint8_t>(i / 7);
    std::memset(file.data(), 0, 64);
    put(file, 0, uint32_t{0x0000006f});  // jal x0, 0
    put(file, 8, header.text_offset);
    put(file, 16, header.image_size);
    put(file, 24, header.flags);
    put(file, 32, uint32_t{2});
    put_text(file, 48, "RISCV");
    put_text(file, 56, "RSC\x05");
    return file;
}

// Gives a file of at least 0x200 bytes an MZ and PE header with one section that ends at `content_end`.
inline void add_pe_header(Bytes& file, uint16_t machine, uint32_t content_end) {
    constexpr size_t kPe = 0x40;
    put_text(file, 0, "MZ");
    put(file, 0x3c, uint32_t{kPe});
    std::memset(file.data() + kPe, 0, 64);
    put_text(file, kPe, "PE");
    put(file, kPe + 4, machine);
    put(file, kPe + 6, uint16_t{1});
    put(file, kPe + 24 + 16, content_end - 0x200);
    put(file, kPe + 24 + 20, uint32_t{0x200});
}

inline Bytes gzip(std::span<const uint8_t> content) {
    z_stream stream{};
    deflateInit2(&stream, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
    Bytes out(deflateBound(&stream, content.size()));
    stream.next_in = const_cast<uint8_t*>(content.data());
    stream.avail_in = static_cast<unsigned>(content.size());
    stream.next_out = out.data();
    stream.avail_out = static_cast<unsigned>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

inline Bytes zstd(std::span<const uint8_t> content) {
    Bytes out(ZSTD_compressBound(content.size()));
    out.resize(ZSTD_compress(out.data(), out.size(), content.data(), content.size(), 1));
    return out;
}

inline Bytes xz(std::span<const uint8_t> content) {
    Bytes out(lzma_stream_buffer_bound(content.size()));
    size_t used = 0;
    lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, nullptr, content.data(), content.size(), out.data(), &used,
                            out.size());
    out.resize(used);
    return out;
}

inline Bytes lzma(std::span<const uint8_t> content) {
    lzma_options_lzma options;
    lzma_lzma_preset(&options, 0);
    lzma_stream stream = LZMA_STREAM_INIT;
    Bytes out(content.size() + 65536);
    if (lzma_alone_encoder(&stream, &options) != LZMA_OK) return {};
    stream.next_in = content.data();
    stream.avail_in = content.size();
    stream.next_out = out.data();
    stream.avail_out = out.size();
    const bool whole = lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END;
    out.resize(whole ? stream.total_out : 0);
    lzma_end(&stream);
    return out;
}

inline Bytes zboot(std::span<const uint8_t> payload, std::string_view compression, uint16_t pe_machine = 0x5064) {
    constexpr uint32_t kHeader = 0x1000;
    Bytes file(kHeader + payload.size());
    add_pe_header(file, pe_machine, kHeader);
    put_text(file, 4, "zimg");
    put(file, 8, kHeader);
    put(file, 12, static_cast<uint32_t>(payload.size()));
    put_text(file, 24, compression);
    put(file, 56, uint32_t{0x818223cd});  // LINUX_PE_MAGIC
    std::copy(payload.begin(), payload.end(), file.begin() + kHeader);
    return file;
}

struct TestSegment {
    uint64_t virtual_address;
    uint64_t physical_address;
    Bytes content;
    uint64_t memory_size;
};

struct TestSymbol {
    std::string name;
    uint64_t address;
    uint64_t size = 0;
    uint8_t info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
};

struct TestElf {
    uint64_t entry = 0x8000'0000;
    std::vector<TestSegment> segments = {{0x8000'0000, 0x8000'0000, Bytes(64, 0x13), 64}};
    std::vector<TestSymbol> symbols = {};
    uint16_t type = ET_EXEC;

    static constexpr size_t kProgramHeaders = sizeof(Elf64_Ehdr);
    static constexpr size_t program_header(size_t index) { return kProgramHeaders + index * sizeof(Elf64_Phdr); }

    // Header, program headers, contents and, with symbols, .symtab, .strtab and the section table (null, symtab,
    // strtab).
    Bytes build() const {
        Elf64_Ehdr header{};
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_ident[EI_VERSION] = EV_CURRENT;
        header.e_type = type;
        header.e_machine = EM_RISCV;
        header.e_version = EV_CURRENT;
        header.e_entry = entry;
        header.e_phoff = kProgramHeaders;
        header.e_ehsize = sizeof(Elf64_Ehdr);
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = static_cast<uint16_t>(segments.size());
        Bytes file(program_header(segments.size()));
        for (size_t i = 0; i < segments.size(); i++) {
            const TestSegment& segment = segments[i];
            Elf64_Phdr program{PT_LOAD,
                               PF_R | PF_X,
                               file.size(),
                               segment.virtual_address,
                               segment.physical_address,
                               segment.content.size(),
                               segment.memory_size,
                               1};
            std::memcpy(file.data() + program_header(i), &program, sizeof program);
            file.insert(file.end(), segment.content.begin(), segment.content.end());
        }
        if (!symbols.empty()) add_symbols(file, header);
        std::memcpy(file.data(), &header, sizeof header);
        return file;
    }

  private:
    void add_symbols(Bytes& file, Elf64_Ehdr& header) const {
        std::vector<Elf64_Sym> table(1);
        std::string names(1, '\0');
        for (const TestSymbol& symbol : symbols) {
            table.push_back({static_cast<uint32_t>(names.size()), symbol.info, 0, 1, symbol.address, symbol.size});
            names += symbol.name + '\0';
        }
        Elf64_Shdr sections[3]{};
        sections[1].sh_type = SHT_SYMTAB;
        sections[1].sh_link = 2;
        sections[1].sh_entsize = sizeof(Elf64_Sym);
        sections[2].sh_type = SHT_STRTAB;
        append(file, sections[1], table.data(), table.size() * sizeof(Elf64_Sym));
        append(file, sections[2], names.data(), names.size());
        header.e_shoff = file.size();
        header.e_shentsize = sizeof(Elf64_Shdr);
        header.e_shnum = 3;
        const auto* headers = reinterpret_cast<const uint8_t*>(sections);
        file.insert(file.end(), headers, headers + sizeof sections);
    }
    static void append(Bytes& file, Elf64_Shdr& section, const void* content, size_t size) {
        section.sh_offset = file.size();
        section.sh_size = size;
        const auto* bytes = static_cast<const uint8_t*>(content);
        file.insert(file.end(), bytes, bytes + size);
    }
};

}  // namespace doppel::machine::boot::test
