#include "device/plic.h"

#include "device/device_fuzzing.h"

using namespace doppel;
using namespace doppel::device;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    RecordedLines lines;
    FuzzBytes bytes(data, size);
    uint32_t sources = bytes.byte() * 4u;
    Plic plic({lines.line(0), lines.line(1), lines.line(2)}, sources);
    auto outside = [&](FuzzBytes& input) {
        uint32_t source = static_cast<uint32_t>(input.integer(2));
        plic.set_level(source >> 1, (source & 1) != 0);
    };
    fuzz_device({plic, plic, Plic::kSize, outside}, bytes);
    return 0;
}
