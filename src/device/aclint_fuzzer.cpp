#include "device/aclint.h"
#include "device/device_fuzzing.h"

using namespace doppel;
using namespace doppel::device;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static ManualClock clock;
    static std::unique_ptr<EventLoop> loop = EventLoop::create(clock).value();
    FuzzBytes bytes(data, size);
    Timebase timebase(clock);
    RecordedLines lines;
    if ((bytes.byte() & 1) != 0) {
        Sswi sswi({lines.line(0), lines.line(1)});
        fuzz_device({sswi, sswi, Sswi::kSize, {}}, bytes);
        return 0;
    }
    Clint clint(timebase, *loop, {{lines.line(0), lines.line(1)}, {lines.line(2), lines.line(3)}});
    auto outside = [&](FuzzBytes& input) {
        uint8_t action = input.byte();
        if ((action & 1) != 0) {
            fuzz_require(restore(timebase, saved(timebase)).has_value());
        } else {
            clock.advance(input.integer(4));
            loop->run_ready();
        }
        // Right after the loop has run, every timer line says what its registers say.
        std::lock_guard guard(clint.lock());
        uint64_t now = clint.read(0xbff8, 8);
        fuzz_require(now == timebase.now());
        for (uint32_t hart = 0; hart < 2; hart++) {
            fuzz_require(lines.level(1 + 2 * hart) == (now >= clint.read(0x4000 + 8 * hart, 8)));
        }
    };
    clint.reset();
    fuzz_device({clint, clint, Clint::kSize, outside}, bytes);
    return 0;
}
