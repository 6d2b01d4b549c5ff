#include "machine/boot/kernel_image.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/byte_order.h"
#include "machine/boot/decompress.h"
#include "machine/boot/elf.h"
#include "machine/boot/foreign_file.h"
#include "machine/boot/origin.h"

namespace doppel::machine::boot {

namespace {

using namespace std::string_view_literals;

constexpr int kDeepestWrapping = 4;  // gzip around zboot around zstd: nobody wraps deeper

// Linux Documentation/arch/riscv/boot-image-header.rst
namespace image_header {
constexpr size_t kTextOffset = 8;
constexpr size_t kImageSize = 16;
constexpr size_t kFlags = 24;
constexpr size_t kMagic = 48;   // deprecated since version 0.2
constexpr size_t kMagic2 = 56;  // since version 0.2
constexpr size_t kSize = 64;
constexpr uint64_t kFlagBigEndian = 1;
}  // namespace image_header

// Linux drivers/firmware/efi/libstub/zboot-header.S
namespace zboot_header {
constexpr size_t kImageType = 4;
constexpr size_t kPayloadOffset = 8;
constexpr size_t kPayloadSize = 12;
constexpr size_t kCompressionType = 24;
constexpr size_t kSize = 56;
}  // namespace zboot_header

bool is_image(std::span<const uint8_t> file) {
    return file.size() >= image_header::kSize && (has_magic(file, image_header::kMagic2, "RSC\x05"sv) ||
                                                  has_magic(file, image_header::kMagic, "RISCV\0\0\0"sv));
}

bool is_zboot(std::span<const uint8_t> file) {
    return file.size() >= zboot_header::kSize && has_magic(file, 0, "MZ") &&
           has_magic(file, zboot_header::kImageType, "zimg");
}

// Linux drivers/firmware/efi/libstub/Makefile.zboot: gzip, lz4, lzma, lzo, xzkern, zstd22
std::optional<Compression> zboot_compression(std::string_view name) {
    if (name == "gzip") return Compression::kGzip;
    if (name.starts_with("zstd")) return Compression::kZstd;
    if (name == "xzkern" || name == "xz") return Compression::kXz;
    if (name == "lzma") return Compression::kLzma;
    return std::nullopt;
}

Result<KernelImage> read_unknown(std::vector<uint8_t> file, const Origin& origin, bool raw_accepted) {
    constexpr uint64_t kPlaceOfNextStage = uint64_t{2} << 20;  // OpenSBI's and U-Boot's builds agree on it
    if (const auto foreign = recognise_foreign_file(file)) return fail(origin.error(foreign->what, foreign->cure));
    if (!raw_accepted) {
        ForeignFile found = identify_foreign_file(file);
        return fail(origin.error(std::move(found.what),
                                 found.cure + "; raw code such as U-Boot needs a --firmware that starts it"));
    }
    if (file.size() > kLargestKernel) {
        return fail(origin.error(fmt::format("is too large to be code ({} bytes)", file.size()), ""));
    }
    const uint64_t size = file.size();
    return KernelImage{KernelKind::kRaw, "raw code", std::move(file), kPlaceOfNextStage, size, origin.subject};
}

Error foreign_machine(std::string_view kind, uint16_t pe_machine, const Origin& origin) {
    return origin.error(fmt::format("is {} for {}", kind, pe_machine_name(pe_machine)), "give a riscv64 kernel");
}

Result<std::vector<uint8_t>> unpack_zboot(std::span<const uint8_t> file, std::string& form, const Origin& origin) {
    if (const auto pe = read_pe_header(file); pe && pe->machine != kPeMachineRiscv64) {
        return fail(foreign_machine("an EFI zboot kernel", pe->machine, origin));
    }
    const uint64_t offset = load_le<uint32_t>(file.data() + zboot_header::kPayloadOffset);
    const uint64_t size = load_le<uint32_t>(file.data() + zboot_header::kPayloadSize);
    if (offset + size > file.size()) {
        return fail(origin.error(fmt::format("is truncated: its EFI zboot payload ends at byte {}, the file at {}",
                                             offset + size, file.size()),
                                 kWholeCopy));
    }
    const auto name_field =
        file.subspan(zboot_header::kCompressionType, zboot_header::kSize - zboot_header::kCompressionType);
    const std::string_view name(reinterpret_cast<const char*>(name_field.data()),
                                static_cast<size_t>(std::ranges::find(name_field, 0) - name_field.begin()));
    const std::optional<Compression> compression = zboot_compression(name);
    if (!compression) {
        return fail(
            origin.error(fmt::format("is an EFI zboot kernel compressed with '{}', which is not supported", name),
                         "give the Image inside it, or one compressed with gzip, zstd, xz or lzma"));
    }
    form += fmt::format("{} in EFI zboot, ", name_of(*compression));
    return decompress(file.subspan(offset, size), *compression, kLargestKernel, origin);
}

Result<KernelImage> read_image(std::vector<uint8_t> file, std::string form, const Origin& origin) {
    const auto field = [&file](size_t offset) { return load_le<uint64_t>(file.data() + offset); };
    if ((field(image_header::kFlags) & image_header::kFlagBigEndian) != 0) {
        return fail(origin.error("is a big-endian kernel image", "give a little-endian riscv64 kernel"));
    }
    if (const auto pe = read_pe_header(file)) {
        if (pe->machine != kPeMachineRiscv64) return fail(foreign_machine("a kernel image", pe->machine, origin));
        if (pe->content_end > file.size()) {
            return fail(origin.error(
                fmt::format("is truncated: {} of {} bytes are there", file.size(), pe->content_end), kWholeCopy));
        }
    } else if (has_magic(file, 0, "MZ")) {
        // A kernel with an EFI stub (boot-image-header.rst, "code0"): its headers are cut off or damaged.
        return fail(origin.error("is truncated: its PE header is not there", kWholeCopy));
    }
    const uint64_t load_offset = field(image_header::kTextOffset);
    const uint64_t image_size = field(image_header::kImageSize);
    constexpr uint64_t kAlignment = uint64_t{2} << 20;  // the kernel maps itself with 2 MiB pages
    if (load_offset % kAlignment != 0 || load_offset > kLargestKernel) {
        return fail(origin.error(
            fmt::format("its header asks to be loaded at the impossible offset 0x{:x}", load_offset), kWholeCopy));
    }
    if (image_size == 0 || image_size > kLargestKernel) {
        return fail(
            origin.error(fmt::format("its header claims the impossible size of {} bytes", image_size), kWholeCopy));
    }
    // A signature may stand behind the image, so that the file is the larger of the two.
    const uint64_t memory_size = std::max<uint64_t>(image_size, file.size());
    return KernelImage{KernelKind::kImage, std::move(form) + "Image", std::move(file), load_offset, memory_size,
                       origin.subject};
}

Result<KernelImage> read_elf(std::vector<uint8_t> file, std::string form, const Origin& origin) {
    DOPPEL_TRY(const Elf elf, Elf::parse(file, EM_RISCV, origin));
    if (elf.has_interpreter()) {
        return fail(
            origin.error("is a user program, not a kernel", "give a riscv64 kernel (an Image, vmlinuz or vmlinux)"));
    }
    if (!elf.physical_entry()) {
        return fail(origin.error(fmt::format("its entry 0x{:x} lies in none of its segments", elf.entry()),
                                 "correct its linker script"));
    }
    const uint64_t start = elf.segments().front().physical_address;
    const ElfSegment& last = elf.segments().back();
    const uint64_t size = last.physical_address - start + last.memory_size;
    return KernelImage{KernelKind::kElf, std::move(form) + "ELF", std::move(file), start, size, origin.subject};
}

}  // namespace

bool is_linux_image(std::span<const uint8_t> file) {
    return is_image(file) || is_zboot(file);
}

Result<KernelImage> unpack_kernel(std::vector<uint8_t> file, const std::string& path, bool raw_accepted) {
    const Origin origin{"read kernel", path};
    std::string form;
    for (int depth = 0; depth < kDeepestWrapping; depth++) {
        if (is_elf(file)) return read_elf(std::move(file), std::move(form), origin);
        if (is_image(file)) return read_image(std::move(file), std::move(form), origin);
        if (is_zboot(file)) {
            DOPPEL_TRY(file, unpack_zboot(file, form, origin));
        } else if (const auto compression = detect_compression(file)) {
            form += fmt::format("{}, ", name_of(*compression));
            DOPPEL_TRY(file, decompress(file, *compression, kLargestKernel, origin));
        } else {
            return read_unknown(std::move(file), origin, raw_accepted);
        }
    }
    return fail(origin.error("is compressed too many times over", "unpack it first"));
}

}  // namespace doppel::machine::boot
