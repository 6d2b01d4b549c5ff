// The balloon under a hostile driver.
#include "device/virtio/balloon/device.h"
#include "device/virtio/virtio_fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::device;
    using virtio::balloon::BalloonDevice;
    virtio::fuzz_virtio_device(data, size, [](doppel::memory::GuestMemory& memory) {
        auto device = std::make_unique<BalloonDevice>(memory);
        auto outside = [balloon = device.get()](FuzzBytes& bytes) {
            if ((bytes.byte() & 1) != 0) return balloon->set_target(bytes.integer(8));
            balloon->request_statistics([](const virtio::balloon::Statistics&) {});
        };
        return std::pair(std::move(device), virtio::FuzzedFunction::Outside(outside));
    });
    return 0;
}
