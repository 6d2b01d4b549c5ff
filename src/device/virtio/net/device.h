// The network card (virtio 1.2, 5.1): frames between the guest and a port of a network, large segments whole.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "device/virtio/net/filter.h"
#include "device/virtio/net/header.h"
#include "device/virtio/virtio_device.h"
#include "network/port.h"

namespace doppel::device::virtio::net {

struct NetOptions {
    MacAddress mac;
    uint16_t mtu = 1500;  // 68 .. 65521
};

// Queues: to the guest, from the guest, control. A frame that a driver asks the impossible for is dropped, as a wire
// drops; so is one that the driver has no room for and never will have.
class NetDevice final : public VirtioDevice, private network::Receiver {
  public:
    static constexpr uint16_t kQueueSize = 256;
    static constexpr size_t kBatch = 64;              // frames to the port at a time
    static constexpr size_t kBatchBytes = 256 << 10;  // of frames; the last one may go beyond

    // `port` outlives the device, which is plugged in from its first activation to its end.
    NetDevice(const NetOptions& options, network::Port& port);
    ~NetDevice() override;

    // The driver is asked to tell the network where it is now: after a move. Any thread.
    void announce();

    // Bytes of frames that the guest has got and sent, since the device was made. Any thread.
    uint64_t received() const { return received_.load(std::memory_order_relaxed); }
    uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }

    std::string_view name() const override { return "virtio-net"; }
    uint16_t id() const override;
    uint32_t pci_class() const override;
    uint64_t features() const override;
    std::span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
    uint32_t config_size() const override;
    void read_config(uint32_t offset, std::span<uint8_t> to) override;
    void activate(uint64_t features) override;
    void notify(unsigned queue) override;
    void reset() override;

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    static constexpr std::array<uint16_t, 3> kQueueSizes = {kQueueSize, kQueueSize, 64};
    // What the driver has set.
    struct State {
        MacAddress mac{};
        bool announce = false;
        Filter filter;
        uint64_t receiving = 0;  // features: what frames may come with
        template <class V>
        void fields(V& v) {
            v.field(1, mac);
            v.field(2, announce);
            v.section(3, filter);
            v.field(4, receiving);
        }
    };
    struct Outgoing {
        Chain chain;
        network::Offload offload;
        size_t at, length;  // in batch_
    };
    // Outlives the device in messages to the loop.
    struct Anchor {
        std::mutex lock;  // before the device's lock
        NetDevice* device;
    };

    bool negotiated(unsigned number) const { return (features_ >> number & 1) != 0; }
    uint16_t status() const;

    // network::Receiver
    size_t receive(std::span<const network::Frame> frames) override;
    void sendable() override;
    void link_changed(bool up) override;

    void tell_port();
    void send();
    bool collect();
    bool take(Chain& chain);
    void hand_over();
    enum class Delivery { kDone, kDropped, kNoRoom };
    Delivery deliver(const network::Frame& frame);
    bool make_room(uint64_t bytes);
    void drop_stale_room();

    uint64_t control(Chain& chain);
    bool command(const Chain& chain, uint8_t group, uint8_t what);
    bool set_addresses(const Chain& chain);

    const NetOptions options_;
    network::Port& port_;
    State state_;
    uint64_t features_ = 0;
    bool active_ = false;
    bool restored_ = false;  // and not active yet
    bool refused_ = false;   // a frame came for which there was no room
    std::vector<uint8_t> batch_;
    std::vector<Outgoing> outgoing_;  // copied, and not taken by the port yet
    std::deque<Chain> room_;          // for frames to come
    uint64_t room_bytes_ = 0;
    std::shared_ptr<Anchor> anchor_;
    std::atomic<uint64_t> received_{0}, sent_{0};
};

}  // namespace doppel::device::virtio::net
