#include "cli/recognise.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <vector>

#include "base/byte_order.h"
#include "base/unique_fd.h"

namespace doppel::cli {
namespace {

using namespace std::string_view_literals;

struct Magic {
    size_t offset;
    std::string_view bytes;
    Content content;
    std::string_view kind;
};

// In the order of certainty: a boot sector's two bytes come last.
constexpr Magic kMagics[] = {
    {0, "QFI\xfb"sv, Content::kDisk, "a qcow2 disk"},
    {0, "KDMV"sv, Content::kForeignDisk, "a VMDK disk"},
    {0, "vhdxfile"sv, Content::kForeignDisk, "a VHDX disk"},
    {64, "\x7f\x10\xda\xbe"sv, Content::kForeignDisk, "a VDI disk"},
    {0,
     "\x7f"
     "ELF"sv,
     Content::kProgram, "an ELF program"},
    {0, "#!"sv, Content::kProgram, "a script"},
    {0, "\0asm"sv, Content::kProgram, "a WebAssembly program"},
    {257, "ustar"sv, Content::kArchive, "a tar archive"},
    {0, "\x1f\x8b"sv, Content::kArchive, "a gzip file"},
    {0, "\x28\xb5\x2f\xfd"sv, Content::kArchive, "a zstd file"},
    {0,
     "\xfd"
     "7zXZ\0"sv,
     Content::kArchive, "an xz file"},
    {0, "BZh"sv, Content::kArchive, "a bzip2 file"},
    {512, "EFI PART"sv, Content::kDisk, "a GPT disk"},
    {4096, "EFI PART"sv, Content::kDisk, "a GPT disk"},
    {32769, "CD001"sv, Content::kDisk, "an ISO 9660 disk"},
    {0, "hsqs"sv, Content::kDisk, "a squashfs disk"},
    {0, "XFSB"sv, Content::kDisk, "an XFS disk"},
    {1080, "\x53\xef"sv, Content::kDisk, "an ext4 disk"},
};

bool has(std::span<const uint8_t> data, size_t offset, std::string_view bytes) {
    return offset <= data.size() && data.size() - offset >= bytes.size() &&
           std::equal(bytes.begin(), bytes.end(), data.begin() + static_cast<std::ptrdiff_t>(offset),
                      [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

// A kernel with an EFI stub is a PE file, too. Linux,
// Documentation/arch/{riscv/boot-image-header,arm64/booting,x86/boot}.rst; EFI zboot:
// drivers/firmware/efi/libstub/zboot-header.S.
bool is_kernel(std::span<const uint8_t> data) {
    return has(data, 0x38, "RSC\x05") || has(data, 0x38, "ARM\x64") || has(data, 0x202, "HdrS") || has(data, 4, "zimg");
}

// PE/COFF: the offset of "PE\0\0" stands at 0x3c of the DOS header.
bool is_pe(std::span<const uint8_t> data) {
    return has(data, 0, "MZ") && data.size() >= 0x40 && has(data, load_le<uint32_t>(&data[0x3c]), "PE\0\0"sv);
}

Result<Recognised> recognise_directory(const std::filesystem::path& path) {
    struct stat status {};
    if (stat((path / "oci-layout").c_str(), &status) == 0 && S_ISREG(status.st_mode))
        return Recognised{Content::kImage, "an OCI image"};
    return Recognised{Content::kTree, "a root tree"};
}

}  // namespace

Recognised recognise_bytes(std::span<const uint8_t> beginning) {
    if (beginning.empty()) return {Content::kUnknown, "an empty file"};
    if (is_kernel(beginning)) return {Content::kKernel, "a Linux kernel"};
    for (const Magic& magic : kMagics)
        if (has(beginning, magic.offset, magic.bytes)) return {magic.content, std::string(magic.kind)};
    if (is_pe(beginning)) return {Content::kProgram, "a Windows program"};
    if (has(beginning, 510, "\x55\xaa")) return {Content::kDisk, "an MBR disk"};
    return {Content::kUnknown, "a file of unknown content"};
}

Result<Recognised> recognise(const std::filesystem::path& path) {
    // Without O_NONBLOCK, opening a FIFO waits for a writer.
    UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status {};
    if (!file || fstat(file.get(), &status) != 0) return fail(Error::system("run", path, errno));
    if (S_ISDIR(status.st_mode)) return recognise_directory(path);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return fail(Error{"run", path, "it is neither a file nor a directory nor a disk", ""});
    std::vector<uint8_t> beginning(kRecognitionBytes);
    size_t size = 0;
    while (size < beginning.size()) {
        const ssize_t got = read(file.get(), beginning.data() + size, beginning.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Error::system("run", path, errno));
        if (got == 0) break;
        size += static_cast<size_t>(got);
    }
    Recognised found = recognise_bytes(std::span(beginning).first(size));
    if (found.content == Content::kUnknown && S_ISBLK(status.st_mode)) found = {Content::kDisk, "a raw disk"};
    return found;
}

}  // namespace doppel::cli
