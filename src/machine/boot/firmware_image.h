// A firmware file for M-mode: an ELF, or raw code for the start of RAM (OpenSBI's and U-Boot's .bin).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "machine/boot/elf.h"

namespace doppel::machine::boot {

inline constexpr uint64_t kLargestRawFirmware = uint64_t{256} << 20;  // bytes

struct FirmwareImage {
    FirmwareImage() = default;
    FirmwareImage(FirmwareImage&&) = default;
    FirmwareImage& operator=(FirmwareImage&&) = default;

    std::vector<uint8_t> bytes;  // the whole file
    std::optional<Elf> elf;      // of `bytes`; none: raw
    std::string path;            // names it in errors
};

// `file` is the content of `path`. Raw code has no mark to know it by: what is surely something else (a text, an
// archive, a Linux kernel, an EFI program) is refused by its name, the rest is taken for code.
Result<FirmwareImage> read_firmware_image(std::vector<uint8_t> file, const std::string& path);

}  // namespace doppel::machine::boot
