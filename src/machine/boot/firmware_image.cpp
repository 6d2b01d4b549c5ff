#include "machine/boot/firmware_image.h"

#include <elf.h>
#include <fmt/format.h>

#include "machine/boot/decompress.h"
#include "machine/boot/foreign_file.h"
#include "machine/boot/kernel_image.h"
#include "machine/boot/origin.h"

namespace doppel::machine::boot {

namespace {

constexpr char kWanted[] = "give an ELF or raw firmware for riscv64, such as OpenSBI's fw_dynamic.bin";
constexpr size_t kShortest = 4;  // an instruction

}  // namespace

Result<FirmwareImage> read_firmware_image(std::vector<uint8_t> file, const std::string& path) {
    const Origin origin{"read firmware", path};
    FirmwareImage image;
    image.bytes = std::move(file);
    image.path = path;
    if (is_elf(image.bytes)) {
        DOPPEL_TRY(image.elf, Elf::parse(image.bytes, EM_RISCV, origin));
        return image;
    }
    if (is_linux_image(image.bytes)) {
        return fail(origin.error("is a Linux kernel, which does not run in M-mode", "give it as --kernel"));
    }
    if (const auto foreign = recognise_foreign_file(image.bytes)) return fail(origin.error(foreign->what, kWanted));
    if (const auto compression = detect_compression(image.bytes)) {
        return fail(origin.error(fmt::format("is compressed with {}", name_of(*compression)), "unpack it first"));
    }
    if (image.bytes.size() < kShortest) {
        return fail(origin.error(fmt::format("is too short to be firmware ({} bytes)", image.bytes.size()), kWanted));
    }
    if (image.bytes.size() > kLargestRawFirmware) {
        return fail(origin.error(fmt::format("is too large to be firmware ({} bytes)", image.bytes.size()), kWanted));
    }
    return image;
}

}  // namespace doppel::machine::boot
