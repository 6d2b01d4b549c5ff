// Any file is firmware that can be placed, or an error.
#include "machine/boot/loader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel;
    const auto firmware = machine::boot::read_firmware_image({data, data + size}, "fuzz");
    if (!firmware) return 0;
    constexpr uint64_t kBase = 0x8000'0000, kSize = 16 << 20;
    const machine::boot::BootParts parts{.firmware = &*firmware};
    const auto layout = machine::boot::plan_boot(parts, {kBase, kSize});
    if (!layout) return 0;
    memory::GuestMemory memory;
    if (!memory.add_region(kBase, kSize)) return 0;
    // What was planned fits.
    if (!machine::boot::load_boot(memory, *layout, parts, {})) __builtin_trap();
    return 0;
}
