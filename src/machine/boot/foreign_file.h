// Naming what is not a kernel for this machine, so that an error can say so.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace doppel::machine::boot {

struct ForeignFile {
    std::string what;  // completes "KERNEL: ": "is an arm64 kernel image"
    std::string cure;
};

// Nothing when its content tells nothing.
std::optional<ForeignFile> recognise_foreign_file(std::span<const uint8_t> file);

// Always answers: what cannot be told by its content "is not a kernel".
ForeignFile identify_foreign_file(std::span<const uint8_t> file);

// The part of a PE file (Microsoft "PE Format") that concerns a kernel with an EFI stub.
struct PeHeader {
    uint16_t machine;      // IMAGE_FILE_MACHINE_
    uint64_t content_end;  // file offset behind the last section's bytes
};
inline constexpr uint16_t kPeMachineRiscv64 = 0x5064;

// Nothing unless `file` starts with "MZ" and has a whole PE header.
std::optional<PeHeader> read_pe_header(std::span<const uint8_t> file);

// "arm64"; "machine type 0x1234" for an unknown one.
std::string pe_machine_name(uint16_t machine);

}  // namespace doppel::machine::boot
