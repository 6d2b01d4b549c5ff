#include "device/aplic.h"

#include "device/device_fuzzing.h"

using namespace doppel;
using namespace doppel::device;

namespace {

class DroppedMessages final : public MsiSink {
  public:
    void send(uint64_t address, uint32_t data) override { fuzz_require(address % 4096 == 0 && data <= 2047); }
};

// Both control regions as one device, so that delegation meets delivery.
class BothDomains final : public Device {
  public:
    explicit BothDomains(Aplic& aplic) : aplic_(aplic) {}
    std::string_view name() const override { return "aplic"; }
    uint64_t read(uint64_t offset, unsigned bytes) override { return at(offset).read(offset % Aplic::kSize, bytes); }
    void write(uint64_t offset, unsigned bytes, uint64_t value) override {
        at(offset).write(offset % Aplic::kSize, bytes, value);
    }
    void reset() override {
        aplic_.machine().reset();
        aplic_.supervisor().reset();
    }

  private:
    Device& at(uint64_t offset) { return offset < Aplic::kSize ? aplic_.machine() : aplic_.supervisor(); }

    Aplic& aplic_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    RecordedLines lines;
    DroppedMessages messages;
    FuzzBytes bytes(data, size);
    uint32_t sources = bytes.byte() * 4u;
    Aplic aplic({{lines.line(0), lines.line(10)}, {lines.line(1), lines.line(11)}}, messages, sources);
    BothDomains both(aplic);
    auto outside = [&](FuzzBytes& input) {
        // Random offsets and values meet seldom: a register of a kind, with a value that it may like.
        constexpr uint64_t kKinds[] = {0,      4,      0x1bc0, 0x1c00, 0x1cdc, 0x1d00, 0x1ddc, 0x1e00,
                                       0x1edc, 0x1f00, 0x1fdc, 0x2000, 0x3000, 0x3004, 0x4000, 0x401c};
        uint8_t action = input.byte();
        uint32_t number = input.byte();
        if ((action & 0xc0) == 0) return aplic.set_level(number, (action & 1) != 0);
        uint64_t offset = kKinds[action & 15] + 4 * (number % 64) + ((action & 0x20) != 0 ? Aplic::kSize : 0);
        if ((action & 0x80) != 0) {
            both.read(offset, 4);
        } else {
            both.write(offset, 4, input.integer(1) | input.integer(1) << 8 | input.integer(1) << 18);
        }
    };
    fuzz_device({both, aplic, 2 * Aplic::kSize, outside}, bytes);
    return 0;
}
