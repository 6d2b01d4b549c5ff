#include "device/goldfish_rtc.h"

#include "device/device_fuzzing.h"

using namespace doppel;
using namespace doppel::device;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static ManualClock clock;
    static std::unique_ptr<EventLoop> loop = EventLoop::create(clock).value();
    RecordedLines lines;
    GoldfishRtc rtc(*loop, lines.line(1));
    auto outside = [&](FuzzBytes& bytes) {
        if ((bytes.byte() & 1) != 0) clock.set_realtime(bytes.integer(8));
        clock.advance(bytes.integer(5));
        loop->run_ready();
    };
    fuzz_device({rtc, rtc, GoldfishRtc::kSize, outside}, FuzzBytes(data, size));
    return 0;
}
