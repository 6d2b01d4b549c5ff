#include "machine/boot/boot_rom.h"

#include <array>

#include "base/byte_order.h"

namespace doppel::machine::boot {

namespace {

// Behind the code: the firmware's entry, the device tree's address, then struct fw_dynamic_info.
constexpr std::array<uint32_t, 6> kCode = {
    0xf1402573,  // csrr a0, mhartid
    0x00000297,  // auipc t0, 0
    0x0242b583,  // ld a1, 36(t0): the second word
    0x02c28613,  // addi a2, t0, 44: the third
    0x01c2b283,  // ld t0, 28(t0): the first
    0x00028067,  // jr t0
};
constexpr size_t kDataOffset = 32;  // 8-byte aligned; the auipc stands at 4

constexpr uint64_t kDynamicInfoMagic = 0x4942534f;  // "OSBI"
constexpr uint64_t kDynamicInfoVersion = 2;
constexpr uint64_t kSupervisorMode = 1;
constexpr uint64_t kBootHart = 0;

}  // namespace

std::vector<uint8_t> make_boot_rom(const FirmwareStart& start) {
    const std::array<uint64_t, 8> data = {
        start.entry,
        start.device_tree,
        kDynamicInfoMagic,
        kDynamicInfoVersion,
        start.next_stage.value_or(0),
        kSupervisorMode,
        0,  // options
        kBootHart,
    };
    std::vector<uint8_t> rom(kDataOffset + data.size() * sizeof(uint64_t));
    for (size_t i = 0; i < kCode.size(); i++) store_le(rom.data() + i * sizeof(uint32_t), kCode[i]);
    for (size_t i = 0; i < data.size(); i++) store_le(rom.data() + kDataOffset + i * sizeof(uint64_t), data[i]);
    return rom;
}

}  // namespace doppel::machine::boot
