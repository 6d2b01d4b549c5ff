#include "device/bus.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "device/device_fuzzing.h"

using namespace doppel;
using namespace doppel::device;

namespace {

class Checker final : public Device {
  public:
    std::string_view name() const override { return "checker"; }
    uint64_t read(uint64_t offset, unsigned bytes) override { return check(offset, bytes), 0; }
    void write(uint64_t offset, unsigned bytes, uint64_t) override { check(offset, bytes); }
    void reset() override {}

    uint64_t base = 0;
    uint64_t size = 0;
    Widths widths;

  private:
    void check(uint64_t offset, unsigned bytes) const {
        fuzz_require(offset < size && bytes <= size - offset && (base + offset) % bytes == 0);
        fuzz_require(bytes >= widths.min && bytes <= widths.max);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzBytes bytes(data, size);
    std::vector<std::unique_ptr<Checker>> mapped;
    Bus bus;
    while (!bytes.empty()) {
        uint8_t action = bytes.byte();
        // Addresses near both ends of the space, where sums wrap.
        uint64_t address = bytes.integer(1) - ((action & 0x80) != 0 ? 0x80 : 0);
        if ((action & 1) != 0) {
            auto device = std::make_unique<Checker>();
            device->base = address;
            device->size = bytes.integer((action & 0x40) != 0 ? 8 : 1);
            device->widths = {bytes.byte() % 9u, bytes.byte() % 9u};
            bool overlaps = std::any_of(mapped.begin(), mapped.end(), [&](const auto& other) {
                return device->base - other->base < other->size || other->base - device->base < device->size;
            });
            if (!bus.map(device->base, device->size, *device, device->widths)) continue;
            fuzz_require(!overlaps);
            mapped.push_back(std::move(device));
        } else if ((action & 2) != 0) {
            (void)bus.read(address, bytes.byte());
        } else {
            (void)bus.write(address, bytes.byte(), 0);
        }
    }
    return 0;
}
