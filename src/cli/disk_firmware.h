// Firmware that starts a disk's boot loader when no option says what does.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/result.h"
#include "machine/spec/specification.h"

namespace doppel::cli {

// EDK2 of Debian's qemu-efi-riscv64, in S-mode on the host's SBI. `roots` are looked through in this order; below each
// it lies as in the package. Sets the specification's flash, and returns the file that it found; kFailed names the
// package and the options.
Result<std::filesystem::path> add_disk_firmware(std::span<const std::filesystem::path> roots, const std::string& disk,
                                                machine::Specification& specification);

}  // namespace doppel::cli
