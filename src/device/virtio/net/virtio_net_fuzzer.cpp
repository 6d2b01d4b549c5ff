// The network card under a hostile driver, on a port that loops back and now and then is full.
#include "device/virtio/net/device.h"
#include "device/virtio/net/fake_port.h"
#include "device/virtio/virtio_fuzzing.h"

namespace {

using namespace doppel::device;
using namespace doppel::device::virtio::net;

void outside(FakePort& port, FuzzBytes& bytes) {
    switch (bytes.byte() % 4) {
        case 0: {
            FakePort::Kept frame;
            frame.bytes.resize(bytes.integer(2) % (doppel::network::kMaxFrame + 2));
            auto head = bytes.take(16);
            std::copy_n(head.begin(), std::min(head.size(), frame.bytes.size()), frame.bytes.begin());
            frame.offload.needs_checksum = (bytes.byte() & 1) != 0;
            (void)port.give({frame, frame});
            return;
        }
        case 1:
            port.room = bytes.byte();
            if (port.card != nullptr) port.card->sendable();
            return;
        case 2:
            port.up = !port.up;
            if (port.card != nullptr) port.card->link_changed(port.up);
            return;
        default:
            if (port.sent.empty()) return;
            (void)port.give({port.sent.front()});
            port.sent.pop_front();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FakePort port;
    virtio::fuzz_virtio_device(data, size, [&] {
        auto device = std::make_unique<NetDevice>(NetOptions{.mac = {2, 0, 0, 0, 0, 1}}, port);
        return std::pair(std::move(device),
                         virtio::FuzzedFunction::Outside([&](FuzzBytes& bytes) { outside(port, bytes); }));
    });
    // What was sent is whole, whatever the driver wrote.
    for (const FakePort::Kept& one : port.sent) {
        fuzz_require(one.bytes.size() >= doppel::network::kMinFrame && one.bytes.size() <= doppel::network::kMaxFrame);
        fuzz_require(port.accepted.takes(one.offload));
        if (one.offload.needs_checksum) {
            fuzz_require(one.offload.checksum_start + one.offload.checksum_offset + 2u <= one.bytes.size());
        }
    }
    return 0;
}
