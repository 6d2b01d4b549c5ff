// A port for tests of the network card: keeps what is sent, and offers it back as a loop does.
#pragma once

#include <algorithm>
#include <deque>
#include <vector>

#include "network/port.h"

namespace doppel::device::virtio::net {

class FakePort final : public network::Port {
  public:
    struct Kept {
        network::Offload offload;
        std::vector<uint8_t> bytes;
    };

    void attach(network::Receiver* receiver) override { card = receiver; }
    network::Offloads accepts() const override { return accepted; }
    bool link_up() const override { return up; }
    size_t send(std::span<const network::Frame> frames) override {
        const size_t taken = std::min(frames.size(), room);
        for (const network::Frame& frame : frames.first(taken)) {
            sent.push_back({frame.offload, {frame.bytes.begin(), frame.bytes.end()}});
        }
        room -= taken;
        batches++;
        return taken;
    }
    void set_received(const network::Offloads& offloads) override { received = offloads; }
    void resume() override { resumed++; }

    // To the card; how many it took.
    size_t give(const std::vector<Kept>& frames) {
        std::vector<network::Frame> batch;
        for (const Kept& one : frames) batch.push_back({one.offload, one.bytes});
        return card != nullptr ? card->receive(batch) : frames.size();
    }

    network::Receiver* card = nullptr;
    network::Offloads accepted{.checksum = true, .tcp4 = true, .tcp6 = true, .ecn = true, .udp = true};
    network::Offloads received;
    bool up = true;
    size_t room = SIZE_MAX;  // frames
    size_t batches = 0;
    int resumed = 0;
    std::deque<Kept> sent;
};

}  // namespace doppel::device::virtio::net
