// A kernel file as distributions ship it, recognised by content and unpacked to what goes into guest memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace doppel::machine::boot {

inline constexpr uint64_t kLargestKernel = uint64_t{512} << 20;  // bytes, unpacked

enum class KernelKind {
    kImage,  // flat `Image` (Linux Documentation/arch/riscv/boot-image-header.rst): runs from its first byte
    kElf,    // vmlinux, or another supervisor program
    kRaw,    // code that a firmware starts (U-Boot's .bin): runs from its first byte
};

struct KernelImage {
    KernelKind kind;
    std::string form;            // for people: "zstd in EFI zboot, Image"
    std::vector<uint8_t> bytes;  // unpacked; the whole ELF file for kElf
    // kImage: where the kernel wants to lie, from a 2 MiB boundary at the start of RAM. kElf: the lowest physical
    // address. kRaw: 2 MiB, where stock firmware goes on.
    uint64_t load_offset;
    uint64_t memory_size;  // bytes it occupies there, its zeroed data (bss) included; at least bytes.size() for kImage
    std::string path;      // names it in errors
};

// `file` is the content of `path`, for riscv64. Takes Image and ELF, either plain, compressed (gzip, zstd, xz, lzma) or
// in an EFI zboot wrapper. What it is not is named: "is an arm64 kernel image". What cannot be named is an error too,
// or kRaw with `raw_accepted`.
Result<KernelImage> unpack_kernel(std::vector<uint8_t> file, const std::string& path, bool raw_accepted = false);

// By its header: an Image, or one in an EFI zboot wrapper.
bool is_linux_image(std::span<const uint8_t> file);

}  // namespace doppel::machine::boot
