#include "device/uart16550.h"

#include "device/device_fuzzing.h"

using namespace doppel;
using namespace doppel::device;

namespace {

class Sink final : public CharacterBackend {
  public:
    void write(std::span<const uint8_t> bytes) override { fuzz_require(bytes.size() == 1); }
    void room_again() override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Sink sink;
    RecordedLines lines;
    Uart16550 uart(lines.line(1));
    uart.attach(sink);
    auto outside = [&](FuzzBytes& bytes) {
        uint8_t count = bytes.byte() % 32;
        if (count == 0) {
            uart.receive_break();
            return;
        }
        auto input = bytes.take(count);
        bool room = uart.can_receive();
        size_t taken = uart.receive(input);
        fuzz_require(taken <= input.size());
        fuzz_require((taken > 0) == (room && !input.empty()));
    };
    fuzz_device({uart, uart, Uart16550::kSize, outside}, FuzzBytes(data, size));
    return 0;
}
