// The socket device (virtio 1.2, 5.10): streams between the guest and unix sockets of the host.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "device/virtio/virtio_device.h"
#include "device/virtio/vsock/connection.h"
#include "device/virtio/vsock/host.h"
#include "device/virtio/vsock/packet.h"

namespace doppel::device::virtio::vsock {

// Queues: packets to the guest, packets from it, events. A client of the host says "CONNECT PORT\n", the guest's port,
// and gets "OK PORT\n", its own, once the guest has accepted; then the stream is its. A connection of the guest to the
// host goes where Host::connect leads. Connections do not survive a save: the restored guest is told that all are gone.
class VsockDevice final : public VirtioDevice {
  public:
    static constexpr uint16_t kQueueSize = 128;
    static constexpr size_t kMaxConnections = 512;  // clients that have yet to say their port among them
    static constexpr size_t kMaxReplies = 256;      // resets that the guest has no buffer for; then it is not heard
    // What a connection may hold for a host that does not read, in bytes: enough for streams to flow without pauses, or
    // less where there are many.
    static constexpr uint32_t kLargeBuffer = 256 << 10, kSmallBuffer = 32 << 10;
    static constexpr size_t kLargeBuffers = 32;           // connections that have it
    static constexpr uint32_t kFirstHostPort = 1U << 30;  // of clients of the host

    // `host` outlives the device.
    VsockDevice(uint32_t cid, Host& host);
    ~VsockDevice() override;

    std::string_view name() const override { return "virtio-vsock"; }
    uint16_t id() const override;
    uint32_t pci_class() const override;
    std::span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
    uint32_t config_size() const override;
    void read_config(uint32_t offset, std::span<uint8_t> to) override;
    void activate(uint64_t /*features*/) override { active_ = true; }
    void notify(unsigned queue) override;
    void reset() override;

    // What there is belongs to sockets of this host.
    void save(StateWriter&) const override {}
    Result<> restore(StateReader& reader) override;

    // Under the device's lock: what there is at present. For tests.
    size_t connections() const { return sockets_.size(); }

  private:
    static constexpr std::array<uint16_t, 3> kQueueSizes = {kQueueSize, kQueueSize, kQueueSize};
    using Id = uint64_t;  // of a connection or a client, never used twice
    struct Entry {
        std::unique_ptr<Connection> connection;  // null: a client that has yet to say its port
        UniqueFd client;                         // that client
        bool known_to_guest = true;              // else only what is left for the host is flushed
        bool queued = false;                     // in ready_
    };
    // Outlives the device in callbacks.
    struct Anchor {
        VsockDevice* device;
    };

    void add_client(UniqueFd socket);
    void watch(Id id, int socket);
    void socket_ready(Id id, uint32_t events);
    void greet(Id id, Entry& entry, uint32_t events);
    void open_to_guest(Id id, Entry& entry, uint32_t guest_port);
    uint32_t free_host_port();
    uint32_t new_buffer() const { return sockets_.size() <= kLargeBuffers ? kLargeBuffer : kSmallBuffer; }
    void remove(Id id);
    void close_all();

    uint64_t receive(const Chain& chain);
    void handle(const Header& header, const Chain& chain);
    void request(const Header& header);
    void host_connected(Id id, UniqueFd socket);
    void take_data(Id id, Connection& connection, const Header& header, const Chain& chain);
    void settle(Id id, Connection& connection);
    void let_go(Id id);
    void reply_reset(const Header& to);
    void reset_connection(Id id);

    void want(Id id);
    void deliver();
    size_t fill(Chain& chain);
    bool something_to_say() const { return !replies_.empty() || !ready_.empty(); }
    void put(Chain& chain, Header header, std::span<const uint8_t> payload) const;
    void tell_of_reset();

    const uint32_t cid_;
    Host& host_;
    bool active_ = false;
    bool tell_reset_ = false;  // the connections of before the restore are gone
    bool deaf_ = false;        // there are too many replies
    Id next_id_ = 1;
    uint32_t next_host_port_ = kFirstHostPort;
    std::unordered_map<Id, Entry> sockets_;
    std::map<Ports, Id> by_ports_;  // those that the guest knows
    std::deque<Id> ready_;          // with a packet for the guest, in turn
    std::deque<Header> replies_;
    std::optional<Chain> room_;  // of the guest's, for the next packet
    std::shared_ptr<Anchor> anchor_;
};

}  // namespace doppel::device::virtio::vsock
