// The power key under a hostile driver.
#include "device/virtio/input/device.h"
#include "device/virtio/virtio_fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::device;
    using virtio::input::PowerKeyDevice;
    virtio::fuzz_virtio_device(data, size, [] {
        auto device = std::make_unique<PowerKeyDevice>();
        auto outside = [key = device.get()](FuzzBytes&) { (void)key->press_power(); };
        return std::pair(std::move(device), virtio::FuzzedFunction::Outside(outside));
    });
    return 0;
}
