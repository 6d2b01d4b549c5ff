// The MMIO transport under a hostile driver, with a device that answers at once.
#include "device/device_fuzzing.h"
#include "device/virtio/echo_device.h"
#include "device/virtio/fake_driver.h"

namespace {

using namespace doppel::device;
using namespace doppel::device::virtio;

constexpr unsigned kSlot = 0;

// From the state that a driver leaves behind, so that short inputs reach the queues.
std::vector<FakeDriver::Ring> start(FakeDriver& driver) {
    fuzz_require(driver.discover());
    fuzz_require(driver.negotiate(kVersion1Feature | kIndirectFeature | kEventIndexFeature));
    std::vector<FakeDriver::Ring> rings{driver.set_up_queue(0, 16), driver.set_up_queue(1, 8, kFakeRam + 0x30000)};
    driver.ready();
    return rings;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzBytes bytes(data, size);
    FakeMachine machine(FakeTransport::kMmio);
    machine.add(kSlot, std::make_unique<EchoDevice>());
    FakeDriver driver(machine, kSlot);
    std::vector<FakeDriver::Ring> rings{{.size = 16}, {.size = 8}};
    if ((bytes.byte() & 1) != 0) rings = start(driver);
    const auto outside = [&](FuzzBytes& more) {
        FakeDriver::Ring& ring = rings[more.byte() % rings.size()];
        switch (more.byte() % 4) {
            case 0:
                (void)machine.memory.write(kFakeRam + more.integer(3) % kFakeRamSize, more.take(more.byte()));
                return;
            case 1: {
                FakeDriver::Descriptor descriptor{kFakeRam + more.integer(3), static_cast<uint32_t>(more.integer(3))};
                descriptor.flags = static_cast<uint16_t>(more.byte() & 7);
                descriptor.next = more.byte() % 32;
                return driver.describe(ring.descriptors, more.byte() % 16, descriptor);
            }
            case 2:
                if (ring.descriptors != 0) driver.offer(ring, more.byte() % 32);
                return driver.kick(ring);
            default:
                machine.loop->run_ready();
        }
    };
    MmioTransport& transport = *machine.mmio[0];
    fuzz_device({transport, transport, MmioTransport::kSize, outside}, bytes);
    machine.loop->run_ready();
    return 0;
}
