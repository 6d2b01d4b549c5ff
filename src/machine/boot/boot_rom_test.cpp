#include "machine/boot/boot_rom.h"

#include <gtest/gtest.h>

#include "base/byte_order.h"

namespace doppel::machine::boot {
namespace {

// What the six instructions do, wherever they lie: the loads' targets follow from their immediates.
TEST(BootRom, LeadsToTheFirmwareWithTheDeviceTreeAndItsDynamicInfo) {
    const auto rom = make_boot_rom({0x8000'0040, 0x9ffe'0000, 0x8020'0000});
    const auto instruction = [&](size_t at) { return load_le<uint32_t>(rom.data() + at); };
    const auto data = [&](size_t at) { return load_le<uint64_t>(rom.data() + at); };
    constexpr size_t kAuipc = 4;
    EXPECT_EQ(instruction(0), 0xf1402573u);       // csrr a0, mhartid
    EXPECT_EQ(instruction(kAuipc), 0x00000297u);  // auipc t0, 0
    const size_t tree = kAuipc + (instruction(8) >> 20), info = kAuipc + (instruction(12) >> 20),
                 entry = kAuipc + (instruction(16) >> 20);
    EXPECT_EQ(instruction(8) & 0xfffff, 0x2b583u);   // ld a1, N(t0)
    EXPECT_EQ(instruction(12) & 0xfffff, 0x28613u);  // addi a2, t0, N
    EXPECT_EQ(instruction(16) & 0xfffff, 0x2b283u);  // ld t0, N(t0)
    EXPECT_EQ(instruction(20), 0x00028067u);         // jr t0
    EXPECT_EQ(data(entry), 0x8000'0040u);
    EXPECT_EQ(data(tree), 0x9ffe'0000u);
    ASSERT_EQ(rom.size(), info + 48);
    EXPECT_EQ(info % 8, 0u);
    EXPECT_EQ(data(info), 0x4942534fu);        // magic
    EXPECT_EQ(data(info + 8), 2u);             // version
    EXPECT_EQ(data(info + 16), 0x8020'0000u);  // next_addr
    EXPECT_EQ(data(info + 24), 1u);            // next_mode: S
    EXPECT_EQ(data(info + 32), 0u);            // options
    EXPECT_EQ(data(info + 40), 0u);            // boot_hart
}

}  // namespace
}  // namespace doppel::machine::boot
