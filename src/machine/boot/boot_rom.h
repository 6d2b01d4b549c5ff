// The reset vector: where all harts start when a firmware runs in M-mode, as on QEMU's `virt` machine.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace doppel::machine::boot {

struct FirmwareStart {
    uint64_t entry;        // of the firmware
    uint64_t device_tree;  // where it lies
    // Where a fw_dynamic firmware goes on, in S-mode; none: it has nowhere to go,
    // and says so. Others know by themselves.
    std::optional<uint64_t> next_stage;
};

// Position-independent code and its data. A hart enters the firmware with its number in a0, the device tree in a1 and
// in a2 a struct fw_dynamic_info (OpenSBI include/sbi/fw_dynamic.h, version 2).
std::vector<uint8_t> make_boot_rom(const FirmwareStart& start);

}  // namespace doppel::machine::boot
