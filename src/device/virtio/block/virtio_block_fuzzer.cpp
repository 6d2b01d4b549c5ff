// The block device under a hostile driver, over a disk whose requests end late, out of order, and fail now and then.
#include "device/virtio/block/device.h"
#include "device/virtio/virtio_fuzzing.h"
#include "storage/memory_device.h"

using namespace doppel;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using device::virtio::block::DiskDevice;
    constexpr size_t kBytes = 100 * 512 + 7;
    storage::LateCompletions late(1);
    storage::MemoryDisk content{std::vector<uint8_t>(kBytes)};
    unsigned requests = 0;
    content.fault = [&](uint64_t, uint64_t, bool) {
        switch (requests++ % 8) {
            case 3:
                return storage::kIoError;
            case 5:
                return storage::kNoSpace;
            default:
                return storage::kOk;
        }
    };
    const bool is_late = size > 0 && (data[0] & 2) != 0, writable = size == 0 || (data[0] & 4) == 0;
    storage::MemoryDevice disk(content, {.writable = writable, .late = is_late ? &late : nullptr});
    auto make = [&] {
        auto device = std::make_unique<DiskDevice>(disk, device::virtio::block::DiskOptions{"fuzzed", 2, {}});
        auto outside = [&late, made = device.get()](device::FuzzBytes& bytes) {
            if ((bytes.byte() & 3) != 0) {
                late.step();
            } else {
                made->retry();
            }
        };
        return std::pair(std::move(device), std::move(outside));
    };
    device::virtio::fuzz_virtio_device(data, size, make, [&late] {
        while (late.step()) {
        }
    });
    return 0;
}
