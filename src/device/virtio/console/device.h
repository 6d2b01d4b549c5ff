// The console device (virtio 1.2, 5.3): ports that carry bytes both ways, with names.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/virtio/console/port.h"
#include "device/virtio/virtio_device.h"

namespace doppel::device::virtio::console {

struct ConsoleOptions {
    std::vector<PortSetup> ports;  // different numbers, at most kMaxPorts - 1
    // Takes a character of the emergency write register, on a vCPU's thread with the device's lock held; empty: the
    // feature is not offered.
    std::function<void(uint8_t)> emergency;
};

// Flow is controlled both ways: a backend that refuses leaves the guest's buffers in their queue, and a guest that
// gives no buffers makes `send` refuse once kInputCapacity bytes wait.
class ConsoleDevice : public VirtioDevice {
  public:
    static constexpr unsigned kMaxPorts = 31;  // MSI-X has a vector for each of their queues
    static constexpr uint16_t kQueueSize = 64;
    static constexpr uint16_t kControlQueueSize = 32;
    static constexpr size_t kInputCapacity = 128 << 10;  // bytes for the guest, each port

    explicit ConsoleDevice(ConsoleOptions options);

    static constexpr size_t kMaxSend = kInputCapacity / 2;

    // For the outside. Thread-safe; they take the device's lock. `port` is one of the options'.
    // Takes all of at most kMaxSend bytes, or nothing: a refusal, which room_again() follows, or the guest has the port
    // closed. What was taken survives a save.
    [[nodiscard]] bool send(unsigned port, std::span<const uint8_t> bytes);
    void take_again(unsigned port);                               // after a refusal of the backend
    void set_host_connected(unsigned port, bool connected);       // told to the guest; Linux then refuses to write
    void resize(unsigned port, unsigned columns, unsigned rows);  // of a console port: characters
    bool guest_open(unsigned port);

    std::string_view name() const override { return "virtio-console"; }
    uint16_t id() const override;
    uint32_t pci_class() const override;
    uint64_t features() const override;
    std::span<const uint16_t> queue_sizes() const override { return queue_sizes_; }
    uint32_t config_size() const override;
    void read_config(uint32_t offset, std::span<uint8_t> to) override;
    void write_config(uint32_t offset, std::span<const uint8_t> from) override;
    void activate(uint64_t features) override;
    void notify(unsigned queue) override;
    void reset() override;

    void save(StateWriter& writer) const override;
    Result<> restore(StateReader& reader) override;

  private:
    // What survives a save. The host's side (size, connection) is told anew.
    struct PortState {
        bool added = false;       // the driver was told of the port, or will be
        bool ready = false;       // and knows it
        bool guest_open = false;  // a program has it open
        uint8_t pending = 0;      // control messages to send, bits of kOrder
        uint64_t consumed = 0;    // bytes taken of the buffer in flight
        std::vector<uint8_t> input;
        template <class V>
        void fields(V& v) {
            v.field(1, added);
            v.field(2, ready);
            v.field(3, guest_open);
            v.field(4, pending);
            v.field(5, consumed);
            v.field(6, input);
        }
    };
    struct Port {
        PortSetup setup;
        PortState state;
        std::optional<Chain> current;  // of the guest's output, while its backend refuses
        bool refused_output = false;   // by the backend
        bool refused_input = false;    // by us
        bool connected = true;
        uint16_t columns = 0, rows = 0;
    };

    static unsigned input_queue(unsigned port) { return port == 0 ? 0 : 2 + 2 * port; }
    static unsigned output_queue(unsigned port) { return input_queue(port) + 1; }
    Port* find(uint64_t number);
    bool multiport() const;
    void set_guest_open(Port& port, bool open);
    void give_input(Port& port);
    void take_output(Port& port);
    bool pass_on(Port& port, uint64_t& budget);
    void take_control(const Chain& chain);
    void send_control();
    std::vector<uint8_t> control_message(const Port& port, uint8_t kind) const;
    void queue_control(Port& port, uint8_t kinds);

    std::function<void(uint8_t)> emergency_;
    std::vector<Port> ports_;
    unsigned max_ports_ = 1;
    std::vector<uint16_t> queue_sizes_;
    uint64_t features_ = 0;  // negotiated; 0 until the driver is ready
    bool active_ = false;
};

}  // namespace doppel::device::virtio::console
