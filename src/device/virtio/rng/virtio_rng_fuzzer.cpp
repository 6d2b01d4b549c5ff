// The entropy device under a hostile driver.
#include <algorithm>

#include "device/virtio/rng/device.h"
#include "device/virtio/virtio_fuzzing.h"

namespace {

bool fill_with_pattern(std::span<uint8_t> to) {
    std::fill(to.begin(), to.end(), uint8_t{0xa5});
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using doppel::device::virtio::rng::RngDevice;
    doppel::device::virtio::fuzz_virtio_device(data, size,
                                               [] { return std::make_unique<RngDevice>(fill_with_pattern); });
    return 0;
}
