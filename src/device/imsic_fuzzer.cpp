#include "device/imsic.h"

#include "device/device_fuzzing.h"

using namespace doppel;
using namespace doppel::device;
using isa::riscv::InterruptFile;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr size_t kHarts = 3;
    RecordedLines lines;
    FuzzBytes bytes(data, size);
    uint32_t identities = bytes.byte() * 8u;
    Imsic imsic("imsic", {lines.line(0), lines.line(1), lines.line(2)}, identities);
    auto outside = [&](FuzzBytes& input) {
        uint8_t action = input.byte();
        InterruptFile& file = imsic.file(action % kHarts);
        uint32_t select = InterruptFile::kDelivery + input.byte() % (InterruptFile::kEnd - InterruptFile::kDelivery);
        if (select >= InterruptFile::kPending) select &= ~1u;
        switch (action >> 4 & 7) {
            case 0:
                imsic.direct_input(action % kHarts).set((action & 8) != 0);
                break;
            case 1:
                imsic.receive(input.integer(2), static_cast<uint32_t>(input.integer(2)));
                break;
            case 2:
            case 3:
                file.write(select, input.integer(8), input.integer(8));
                break;
            case 4:
                file.read(select);
                break;
            default: {
                uint32_t top = file.top();
                fuzz_require((top >> 16) == (top & 0xffff) && top >> 16 <= imsic.identities());
                file.claim(top >> 16);
                // Delivered exactly when there is something.
                if (file.read(InterruptFile::kDelivery) == Imsic::kOn) {
                    fuzz_require(lines.level(action % kHarts) == (file.top() != 0));
                }
            }
        }
    };
    fuzz_device({imsic, imsic, kHarts * Imsic::kPageSize, outside}, bytes);
    return 0;
}
