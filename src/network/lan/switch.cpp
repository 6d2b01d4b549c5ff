#include "network/lan/switch.h"

#include <array>

#include "base/byte_order.h"
#include "network/lan/segment.h"

namespace doppel::network::lan {

namespace {

constexpr std::array kCounters{NamedCounter{"received", &Counters::received},
                               NamedCounter{"received_bytes", &Counters::received_bytes},
                               NamedCounter{"sent", &Counters::sent},
                               NamedCounter{"sent_bytes", &Counters::sent_bytes},
                               NamedCounter{"dropped_bad_length", &Counters::bad_length},
                               NamedCounter{"dropped_bad_address", &Counters::bad_address},
                               NamedCounter{"dropped_bad_tag", &Counters::bad_tag},
                               NamedCounter{"dropped_bad_offload", &Counters::bad_offload},
                               NamedCounter{"dropped_wrong_vlan", &Counters::wrong_vlan},
                               NamedCounter{"dropped_spoofed", &Counters::spoofed},
                               NamedCounter{"dropped_flooded_too_much", &Counters::flooded_too_much},
                               NamedCounter{"dropped_isolated", &Counters::isolated},
                               NamedCounter{"dropped_no_room", &Counters::no_room},
                               NamedCounter{"dropped_beyond_rate", &Counters::beyond_rate}};

// A tenth of a second, and a few of the largest segments.
uint64_t burst_of(uint64_t rate) {
    constexpr uint64_t kLeast = 4 * kMaxFrame, kTenth = 10;
    return std::max(rate / kTenth, kLeast);
}

}  // namespace

std::span<const NamedCounter> counters() {
    return kCounters;
}

Result<PortId> Switch::add(const PortOptions& options, const MacAddress& mac, Outlet& outlet) {
    const auto refuse = [&](std::string why, std::string cure) {
        return fail(Error{"join the network", options.name.empty() ? text_of(mac) : options.name, std::move(why),
                          std::move(cure)});
    };
    if (ports_.size() >= kMaxPorts) return refuse("all ports of the switch are taken", "use another network");
    for (const auto& [id, port] : ports_) {
        if (!options.name.empty() && port.options.name == options.name)
            return refuse("another member has this name", "choose one by name=");
        if (port.mac == mac) return refuse("another member has the address " + text_of(mac), "choose one by mac=");
    }
    const PortId id = next_++;
    ports_.emplace(id, Port{options,
                            mac,
                            &outlet,
                            {},
                            Bucket(kFloodRate, kFloodBurst),
                            Bucket(options.rate, options.rate == 0 ? 0 : burst_of(options.rate))});
    if (options.pinned) pinned_[mac] = id;
    return id;
}

void Switch::remove(PortId port) {
    ports_.erase(port);
    table_.forget(port);
    std::erase_if(pinned_, [port](const auto& one) { return one.second == port; });
}

Switch::Port* Switch::find(PortId port) {
    const auto found = ports_.find(port);
    return found == ports_.end() ? nullptr : &found->second;
}

void Switch::input(PortId id, const Frame& frame) {
    Port* from = find(id);
    if (from == nullptr) return;
    from->counters.received++;
    from->counters.received_bytes += frame.bytes.size();
    const Ethernet ethernet = parse_ethernet(frame.bytes);
    Parcel parcel{0, ethernet.priority, frame};
    if (!accept(id, *from, ethernet, parcel)) return;
    if (mirror_) mirror_(id, false, frame);
    table_.learn(ethernet.source, parcel.vlan, id, clock_.monotonic());
    if (service_ != nullptr && parcel.vlan == kDefaultVlan && service_->take(id, ethernet, parcel.frame)) return;
    forward(id, *from, ethernet, parcel);
}

bool Switch::accept(PortId id, Port& from, const Ethernet& ethernet, Parcel& parcel) {
    Counters& counters = from.counters;
    if (ethernet.defect) {
        switch (*ethernet.defect) {
            case Defect::kLength:
                counters.bad_length++;
                break;
            case Defect::kAddress:
                counters.bad_address++;
                break;
            case Defect::kTag:
                counters.bad_tag++;
                break;
            case Defect::kOffload:
                counters.bad_offload++;
                break;
        }
        return false;
    }
    if (ethernet.tag) {
        const auto bytes = parcel.frame.bytes;
        Offload& offload = parcel.frame.offload;
        stripped_.assign(bytes.begin(), bytes.begin() + kTagAt);
        stripped_.insert(stripped_.end(), bytes.begin() + kTagAt + kTagBytes, bytes.end());
        parcel.frame.bytes = stripped_;
        if (offload.needs_checksum) {
            if (offload.checksum_start < kMinFrame + kTagBytes) return counters.bad_offload++, false;
            offload.checksum_start -= kTagBytes;
        }
        offload.header_bytes = offload.header_bytes > kTagBytes ? offload.header_bytes - kTagBytes : 0;
    }
    if (!offload_is_sound(parcel.frame)) return counters.bad_offload++, false;
    const auto vlan = from.options.vlans.classify(ethernet.tag);
    if (!vlan) return counters.wrong_vlan++, false;
    if (is_spoofed(id, from, ethernet)) return counters.spoofed++, false;
    parcel.vlan = *vlan;
    return true;
}

// A pinned port has one address, and nobody else has it.
bool Switch::is_spoofed(PortId id, const Port& from, const Ethernet& ethernet) const {
    if (from.options.pinned) return ethernet.source != from.mac;
    const auto owner = pinned_.find(ethernet.source);
    return owner != pinned_.end() && owner->second != id;
}

void Switch::forward(PortId id, Port& from, const Ethernet& ethernet, const Parcel& parcel) {
    const uint64_t now = clock_.monotonic();
    const auto known =
        is_group(ethernet.destination) ? std::nullopt : table_.find(ethernet.destination, parcel.vlan, now);
    if (known) {
        Port* to = find(*known);
        if (to == nullptr || *known == id) return;  // it was on that side already
        if (from.options.isolated && to->options.isolated) {
            from.counters.isolated++;
            return;
        }
        return deliver(*known, *to, parcel);
    }
    if (!from.flood.open(now)) {
        from.counters.flooded_too_much++;
        return;
    }
    from.flood.take(1);
    for (auto& [other, to] : ports_) {
        if (other != id && !(from.options.isolated && to.options.isolated)) deliver(other, to, parcel);
    }
}

void Switch::answer(PortId port, std::span<const uint8_t> bytes) {
    if (Port* to = find(port)) deliver(port, *to, {kDefaultVlan, 0, {{}, bytes}});
}

void Switch::answer_all(std::span<const uint8_t> bytes) {
    for (auto& [id, to] : ports_) deliver(id, to, {kDefaultVlan, 0, {{}, bytes}});
}

void Switch::deliver(PortId id, Port& to, const Parcel& parcel) {
    if (!to.options.vlans.has(parcel.vlan)) return;
    if (!to.rate.open(clock_.monotonic())) {
        to.counters.beyond_rate++;
        return;
    }
    to.rate.take(parcel.frame.bytes.size());
    if (to.outlet->takes().takes(parcel.frame.offload)) return emit(id, to, parcel);
    finish(parcel.frame, [&](std::span<const uint8_t> bytes) {
        emit(id, to, {parcel.vlan, parcel.priority, {{.checksum_right = true}, bytes}});
    });
}

void Switch::emit(PortId id, Port& to, const Parcel& parcel) {
    Frame frame = parcel.frame;
    if (to.options.vlans.tags(parcel.vlan)) {
        tagged_.assign(frame.bytes.begin(), frame.bytes.begin() + kTagAt);
        tagged_.resize(kTagAt + kTagBytes);
        store_be(&tagged_[kTagAt], kTagType);
        store_be(&tagged_[kTagAt + 2], static_cast<uint16_t>(parcel.priority << 12 | parcel.vlan));
        tagged_.insert(tagged_.end(), frame.bytes.begin() + kTagAt, frame.bytes.end());
        frame.bytes = tagged_;
        if (frame.offload.needs_checksum) frame.offload.checksum_start += kTagBytes;
        if (frame.offload.header_bytes != 0) frame.offload.header_bytes += kTagBytes;
    }
    if (frame.bytes.size() > kMaxFrame || !to.outlet->put(frame)) {
        to.counters.no_room++;
        return;
    }
    to.counters.sent++;
    to.counters.sent_bytes += frame.bytes.size();
    if (mirror_) mirror_(id, true, frame);
}

}  // namespace doppel::network::lan
