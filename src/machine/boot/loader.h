// Placing what a machine boots into its memory.
//
// In two steps, because the device tree names the initrd's addresses: plan_boot chooses every address, the board writes
// its device tree, load_boot copies. A reset loads the same plan again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "machine/boot/firmware_image.h"
#include "machine/boot/kernel_image.h"
#include "memory/guest_memory.h"

namespace doppel::machine::boot {

// Room that a plan keeps for the device tree, bytes.
inline constexpr uint64_t kDeviceTreeRoom = 128 << 10;

struct Ram {
    uint64_t base;  // guest physical, page-aligned
    uint64_t size;  // bytes, whole pages
};

// What is to run, at least one of firmware, kernel and flash; everything pointed to is borrowed.
struct BootParts {
    // Runs first, in M-mode. An ELF goes to its physical addresses, or, when it runs anywhere and belongs below RAM, to
    // the start of RAM like a raw one.
    const FirmwareImage* firmware = nullptr;
    const KernelImage* kernel = nullptr;
    std::span<const uint8_t> initrd = {};  // whoever wants it finds it by the device tree
    std::string_view initrd_path = {};     // names it in errors
    // The address of code that is there already. Without a kernel it is the next stage.
    std::optional<uint64_t> flash = std::nullopt;
};

struct BootLayout {
    uint64_t entry;                      // where the first hart starts: the firmware's, or else the next stage
    std::optional<uint64_t> next_stage;  // the kernel's entry, or else flash; physical
    // Ends are exclusive; start == end: there is none.
    uint64_t kernel_start = 0;
    uint64_t kernel_end = 0;
    uint64_t initrd_start = 0;  // page-aligned
    uint64_t initrd_end = 0;
    uint64_t device_tree;  // 8-byte aligned (Devicetree Specification 5.1), with kDeviceTreeRoom bytes
    // Added, modulo 2^64, to an ELF kernel's physical addresses: not 0 for one linked for the kernel's half of virtual
    // memory.
    uint64_t kernel_bias = 0;
    uint64_t firmware_bias = 0;  // the same
    uint64_t ram_base;           // Ram::base
};

// Chooses addresses; nothing overlaps. An Image lies at its offset above the first 2 MiB boundary of RAM (Linux
// Documentation/arch/riscv/boot.rst), an ELF at its physical addresses, initrd and device tree high; with a firmware
// the initrd lies in the middle, because U-Boot moves itself to the end of RAM. When something does not fit, the error
// tells how much memory would do.
Result<BootLayout> plan_boot(const BootParts& parts, Ram ram);

// Copies the parts and the device tree to where `layout` (plan_boot's, for the same parts) says, and zeroes their bss.
// No vCPU may be running.
Result<> load_boot(memory::GuestMemory& memory, const BootLayout& layout, const BootParts& parts,
                   std::span<const uint8_t> device_tree);

}  // namespace doppel::machine::boot
