// A layer-2 switch that learns (IEEE 802.1Q, 8): what it does with frames, without what carries them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "network/lan/bucket.h"
#include "network/lan/ethernet.h"
#include "network/lan/mac_table.h"
#include "network/lan/port_options.h"

namespace doppel::network::lan {

// The way out of a port.
class Outlet {
  public:
    virtual ~Outlet() = default;
    // False: there is no room, and the frame is lost. Does not wait.
    virtual bool put(const Frame& frame) = 0;
    virtual Offloads takes() const = 0;
};

// Of one port. Frames are counted as they come: one that is to be cut is one.
struct Counters {
    uint64_t received = 0, received_bytes = 0;
    uint64_t sent = 0, sent_bytes = 0;
    // Dropped as they came from the port...
    uint64_t bad_length = 0, bad_address = 0, bad_tag = 0, bad_offload = 0;
    uint64_t wrong_vlan = 0;
    uint64_t spoofed = 0;
    uint64_t flooded_too_much = 0;  // broadcasts and those to unknown addresses, beyond kFloodRate
    uint64_t isolated = 0;
    // ... and on their way to it.
    uint64_t no_room = 0, beyond_rate = 0;
};
// Each counter's name as `show --json` gives it.
struct NamedCounter {
    std::string_view name;
    uint64_t Counters::*value;
};
std::span<const NamedCounter> counters();

// What answers in the default VLAN (services.h). Called before a frame is forwarded.
class Service {
  public:
    virtual ~Service() = default;
    // True: the frame goes nowhere else. `frame` has no tag.
    virtual bool take(PortId from, const Ethernet& ethernet, const Frame& frame) = 0;
};

// All on one thread.
class Switch {
  public:
    static constexpr size_t kMaxPorts = 256;
    static constexpr uint64_t kFloodRate = 5000, kFloodBurst = 5000;  // frames a second of each port

    // Frames as they are on a port's wire; `out`: to it.
    using Mirror = std::function<void(PortId port, bool out, const Frame& frame)>;

    explicit Switch(const Clock& clock) : clock_(clock) {}

    // `mac` is what the port's card has. No two ports have one name or address. The outlet outlives its port.
    Result<PortId> add(const PortOptions& options, const MacAddress& mac, Outlet& outlet);
    void remove(PortId port);
    // A frame that a port sends; nobody changes its bytes meanwhile.
    void input(PortId port, const Frame& frame);
    // Of the network itself, in the default VLAN.
    void answer(PortId port, std::span<const uint8_t> bytes);
    void answer_all(std::span<const uint8_t> bytes);

    void set_service(Service* service) { service_ = service; }
    void set_mirror(Mirror mirror) { mirror_ = std::move(mirror); }

    struct Port {
        PortOptions options;
        MacAddress mac;
        Outlet* outlet;
        Counters counters;
        Bucket flood, rate;
    };
    const std::map<PortId, Port>& ports() const { return ports_; }
    Port* find(PortId port);
    const MacTable& addresses() const { return table_; }

  private:
    struct Parcel {
        uint16_t vlan;
        uint8_t priority;
        Frame frame;  // without tag
    };
    // False: dropped, and counted.
    bool accept(PortId id, Port& from, const Ethernet& ethernet, Parcel& parcel);
    bool is_spoofed(PortId id, const Port& from, const Ethernet& ethernet) const;
    void forward(PortId id, Port& from, const Ethernet& ethernet, const Parcel& parcel);
    void deliver(PortId id, Port& to, const Parcel& parcel);
    void emit(PortId id, Port& to, const Parcel& parcel);

    const Clock& clock_;
    std::map<PortId, Port> ports_;
    std::map<MacAddress, PortId> pinned_;
    PortId next_ = 1;
    MacTable table_;
    Service* service_ = nullptr;
    Mirror mirror_;
    std::vector<uint8_t> stripped_, tagged_;
};

}  // namespace doppel::network::lan
