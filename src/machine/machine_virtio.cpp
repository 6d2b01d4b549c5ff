// The virtio devices of a machine.
#include "device/virtio/rng/device.h"
#include "machine/machine.h"

namespace doppel::machine {

Result<std::vector<riscv64::VirtioSlot>> Machine::make_virtio_devices() {
    namespace slot = riscv64::slot;
    std::vector<riscv64::VirtioSlot> devices;
    devices.push_back({slot::kRng, std::make_unique<device::virtio::rng::RngDevice>()});
    return devices;
}

}  // namespace doppel::machine
