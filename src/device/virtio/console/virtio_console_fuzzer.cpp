// The console device under a hostile driver: one that knows no ports, and one that uses all queues.
#include "device/virtio/console/device.h"
#include "device/virtio/console/testing.h"
#include "device/virtio/virtio_fuzzing.h"

namespace {

using namespace doppel::device;
using namespace doppel::device::virtio;
using namespace doppel::device::virtio::console;

// Refuses every third time.
class Moody final : public PortBackend {
  public:
    size_t take(std::span<const uint8_t> bytes) override { return ++asked_ % 3 == 0 ? bytes.size() / 2 : bytes.size(); }
    void room_again() override {}
    void guest_opened(bool) override {}

  private:
    unsigned asked_ = 0;
};

struct Backends {
    Moody console, port;
};

std::unique_ptr<ConsoleDevice> make(Backends& backends) {
    return std::make_unique<ConsoleDevice>(
        ConsoleOptions{{{.number = 0, .name = "", .is_console = true, .backend = &backends.console},
                        {.number = 1, .name = "org.test", .backend = &backends.port}},
                       [](uint8_t) {}});
}

void step(FuzzBytes& bytes, FakeMachine& machine, ConsoleDriver& driver, ConsoleDevice& device) {
    const uint8_t action = bytes.byte();
    const unsigned queue = (action >> 4) % ConsoleDriver::kQueues;
    const auto head = static_cast<uint16_t>(bytes.byte() % ConsoleDriver::kSize);
    switch (action & 7) {
        case 0:
            return driver.offer_buffer(queue, head, static_cast<uint32_t>(bytes.integer(2)));
        case 1: {
            auto content = bytes.take(bytes.byte());
            return driver.write(queue, head, {reinterpret_cast<const char*>(content.data()), content.size()});
        }
        case 2:
            return driver.control(bytes.byte() % 3, bytes.byte() % 8, bytes.byte() % 2);
        case 3:
            (void)!device.send(head % 3, std::vector<uint8_t>(bytes.integer(3) % (1 << 18)));
            return;
        case 4:
            return device.take_again(head % 3);
        case 5:
            device.set_host_connected(head % 3, (action & 0x10) != 0);
            return device.resize(head % 3, head, action);
        case 6:
            fuzz_require(restore(machine.pci.host, saved(machine.pci.host)).has_value());
            return;
        default:
            if (head == 0) machine.pci.reset();
            (void)driver.take(queue);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzBytes bytes(data, size);
    Backends backends;
    if ((bytes.byte() & 1) == 0) {
        if (size > 0) fuzz_virtio_device(data + 1, size - 1, [&] { return make(backends); });
        return 0;
    }
    FakeMachine machine;
    auto made = make(backends);
    ConsoleDevice& device = *made;
    machine.add(ConsoleDriver::kSlot, std::move(made));
    ConsoleDriver driver(machine);
    fuzz_require(machine.mapped && driver.start(kMultiport | kConsoleSize));
    while (!bytes.empty()) step(bytes, machine, driver, device);
    machine.settle();
    return 0;
}
