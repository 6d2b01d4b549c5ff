#include "machine/boot/foreign_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/byte_order.h"
#include "machine/boot/origin.h"

namespace doppel::machine::boot {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kOtherKernel = "give a riscv64 kernel (an Image, vmlinuz or vmlinux)";

constexpr size_t kShortestKernel = 64;  // a Linux Image header, an ELF header

struct Magic {
    size_t offset;
    std::string_view bytes;
    std::string_view what;
    std::string_view cure;
};

// Ordered: a file that carries several of them is what comes first.
constexpr std::array kMagics = {
    Magic{0x202, "HdrS"sv, "is an x86 kernel image (bzImage)"sv, kOtherKernel},
    Magic{0x38, "ARM\x64"sv, "is an arm64 kernel image"sv, kOtherKernel},
    Magic{0x24, "\x18\x28\x6f\x01"sv, "is an arm kernel image (zImage)"sv, kOtherKernel},
    Magic{0, "\x27\x05\x19\x56"sv, "is a U-Boot image (uImage)"sv, "give the Image inside it"sv},
    Magic{0, "\xd0\x0d\xfe\xed"sv, "is a device tree or a FIT image"sv, kOtherKernel},
    Magic{0, "070701"sv, "is an initramfs (cpio archive)"sv, "give it as --initrd"sv},
    Magic{0, "070702"sv, "is an initramfs (cpio archive)"sv, "give it as --initrd"sv},
    Magic{0, "!<arch>\ndebian"sv, "is a Debian package"sv, "give the boot/vmlinu* inside it"sv},
    Magic{257, "ustar"sv, "is a tar archive"sv, "give the kernel inside it"sv},
    Magic{0, "PK\x03\x04"sv, "is a zip archive"sv, "give the kernel inside it"sv},
    Magic{0, "\x02\x21\x4c\x18"sv, "is compressed with lz4, which is not supported"sv, "unpack it first (lz4 -d)"sv},
    Magic{0, "\x04\x22\x4d\x18"sv, "is compressed with lz4, which is not supported"sv, "unpack it first (lz4 -d)"sv},
    Magic{0, "\x89LZO"sv, "is compressed with lzo, which is not supported"sv, "unpack it first (lzop -d)"sv},
    Magic{0, "BZh"sv, "is compressed with bzip2, which is not supported"sv, "unpack it first (bunzip2)"sv},
    Magic{0, "QFI\xfb"sv, "is a qcow2 disk"sv, "give it as --disk"sv},
    Magic{0x8001, "CD001"sv, "is an ISO 9660 disc"sv, "give the kernel inside it"sv},
};

bool is_text(std::span<const uint8_t> file) {
    return std::ranges::all_of(file.first(std::min<size_t>(file.size(), 512)),
                               [](uint8_t c) { return (c >= 0x20 && c < 0x7f) || (c >= '\t' && c <= '\r'); });
}

}  // namespace

std::optional<ForeignFile> recognise_foreign_file(std::span<const uint8_t> file) {
    const std::string other_kernel(kOtherKernel);
    if (file.empty()) return ForeignFile{"is empty", other_kernel};
    for (const Magic& magic : kMagics) {
        if (has_magic(file, magic.offset, magic.bytes))
            return ForeignFile{std::string(magic.what), std::string(magic.cure)};
    }
    if (const auto pe = read_pe_header(file)) {
        return ForeignFile{
            fmt::format("is an EFI program for {}, not a Linux kernel for riscv64", pe_machine_name(pe->machine)),
            other_kernel};
    }
    if (is_text(file)) return ForeignFile{"is a text file", other_kernel};
    if (std::ranges::all_of(file, [](uint8_t b) { return b == 0; }))
        return ForeignFile{"holds nothing but zeroes", other_kernel};
    return std::nullopt;
}

ForeignFile identify_foreign_file(std::span<const uint8_t> file) {
    if (auto found = recognise_foreign_file(file)) return std::move(*found);
    const std::string other_kernel(kOtherKernel);
    if (file.size() < kShortestKernel) {
        return {fmt::format("is too short to be a kernel ({} bytes)", file.size()), other_kernel};
    }
    return {"is not a kernel", other_kernel};
}

std::optional<PeHeader> read_pe_header(std::span<const uint8_t> file) {
    constexpr size_t kPeOffsetField = 0x3c;
    constexpr size_t kCoffSize = 24;  // "PE\0\0" and the COFF header
    constexpr size_t kSectionSize = 40;
    if (file.size() < kPeOffsetField + 4 || !has_magic(file, 0, "MZ")) return std::nullopt;
    const uint64_t start = load_le<uint32_t>(file.data() + kPeOffsetField);
    if (start + kCoffSize > file.size() || !has_magic(file, start, "PE\0\0"sv)) return std::nullopt;
    const uint8_t* coff = file.data() + start;
    const unsigned count = load_le<uint16_t>(coff + 6);
    const uint64_t sections = start + kCoffSize + load_le<uint16_t>(coff + 20);
    if (sections + uint64_t{count} * kSectionSize > file.size()) return std::nullopt;

    PeHeader header{load_le<uint16_t>(coff + 4), 0};
    for (unsigned i = 0; i < count; i++) {
        const uint8_t* section = file.data() + sections + i * kSectionSize;
        const uint64_t size = load_le<uint32_t>(section + 16);
        const uint64_t offset = load_le<uint32_t>(section + 20);
        if (size != 0) header.content_end = std::max(header.content_end, offset + size);
    }
    return header;
}

std::string pe_machine_name(uint16_t machine) {
    switch (machine) {
        case kPeMachineRiscv64:
            return "riscv64";
        case 0x5032:
            return "riscv32";
        case 0x8664:
            return "x86-64";
        case 0x014c:
            return "x86";
        case 0xaa64:
            return "arm64";
        case 0x01c2:
            return "arm";
        case 0x6264:
            return "loongarch64";
        default:
            return fmt::format("machine type 0x{:04x}", machine);
    }
}

}  // namespace doppel::machine::boot
