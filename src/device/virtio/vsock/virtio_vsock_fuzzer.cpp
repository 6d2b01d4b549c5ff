// The socket device under a hostile driver, and peers on the host that come, go, talk and do not listen.
#include "device/virtio/virtio_fuzzing.h"
#include "device/virtio/vsock/device.h"
#include "device/virtio/vsock/fake_host.h"

namespace {

using namespace doppel;
using namespace doppel::device;
using virtio::vsock::FakeHost;
using virtio::vsock::VsockDevice;

struct Outside {
    FakeHost host;
    std::deque<UniqueFd> peers;

    void operator()(FuzzBytes& bytes) {
        constexpr size_t kMaxPeers = 8;
        uint8_t action = bytes.byte();
        if (peers.size() >= kMaxPeers) peers.pop_front();
        switch (action % 6) {
            case 0:
                peers.push_back(host.come());
                return;
            case 1:
                if (UniqueFd peer = host.answer()) peers.push_back(std::move(peer));
                return;
            case 2:
                return host.refuse();
            case 3:
                return greet(bytes);
            case 4:
                return talk(bytes);
            default:
                if (!peers.empty()) peers.pop_front();
        }
    }
    void greet(FuzzBytes& bytes) {
        if (peers.empty()) return;
        std::string line = "CONNECT " + std::to_string(bytes.byte()) + "\n";
        (void)::send(peers.back().get(), line.data(), line.size(), MSG_NOSIGNAL);
    }
    void talk(FuzzBytes& bytes) {
        if (peers.empty()) return;
        auto said = bytes.take(bytes.byte());
        (void)::send(peers.back().get(), said.data(), said.size(), MSG_NOSIGNAL);
        std::array<char, 4096> heard;
        (void)::recv(peers.back().get(), heard.data(), heard.size(), MSG_DONTWAIT);
        if (said.size() == 1) ::shutdown(peers.back().get(), said[0] % 3);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    auto outside = std::make_shared<Outside>();
    virtio::fuzz_virtio_device(data, size, [&] {
        auto device = std::make_unique<VsockDevice>(3, outside->host);
        return std::pair(std::move(device),
                         virtio::FuzzedFunction::Outside([outside](FuzzBytes& bytes) { (*outside)(bytes); }));
    });
    return 0;
}
