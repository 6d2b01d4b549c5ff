// Whatever members send, with whatever left to do: no port's frame grows beyond its bound, and nothing crosses VLANs.
#include <cstdlib>

#include "network/lan/frames_for_tests.h"
#include "network/link/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::network;
    using namespace doppel::network::lan;
    struct Checked final : Outlet {
        bool put(const Frame& frame) override {
            if (frame.bytes.size() < kMinFrame || frame.bytes.size() > kMaxFrame) std::abort();
            if (!takes().takes(frame.offload)) std::abort();
            if (frame.offload.needs_checksum &&
                size_t{frame.offload.checksum_start} + frame.offload.checksum_offset + 2 > frame.bytes.size())
                std::abort();
            if (alone) std::abort();
            return true;
        }
        Offloads takes() const override { return whole; }
        Offloads whole;
        bool alone = false;
    };
    doppel::ManualClock clock;
    Switch lan(clock);
    Checked first, cutting, trunk, other;
    first.whole = trunk.whole = {.checksum = true, .tcp4 = true, .tcp6 = true, .ecn = true, .udp = true};
    other.alone = true;
    const PortId from = *lan.add({}, lan::testing::mac(1), first);
    (void)lan.add({}, lan::testing::mac(2), cutting);
    const PortId both = *lan.add(*port_options_from("trunk=1+10"), lan::testing::mac(3), trunk);
    (void)lan.add(*port_options_from("vlan=20"), lan::testing::mac(4), other);
    while (size >= 2) {
        const size_t length = std::min<size_t>(data[0] | (data[1] & 15) << 8, size - 2);
        const PortId port = data[1] & 0x80 ? both : from;
        if (const auto frame = link::frame_of({data + 2, length})) lan.input(port, *frame);
        data += 2 + length;
        size -= 2 + length;
    }
    return 0;
}
