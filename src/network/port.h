// Where a network card is plugged in: frames go both ways in batches, with what is left to do to them, so that large
// segments cross a switch whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace doppel::network {

inline constexpr size_t kMinFrame = 14;              // an Ethernet header, in bytes; no checksum at the end
inline constexpr size_t kMaxFrame = 65535 + 14 + 4;  // the largest IP packet behind it and a VLAN tag

// Of networks without wires: a TCP segment crosses whole.
inline constexpr uint16_t kLargeMtu = 65520;

// How a frame is to be cut before it meets a wire.
enum class Segmentation : uint8_t {
    kNone,
    kTcp4,
    kTcp6,
    kUdp,           // into datagrams of their own
    kUdpFragments,  // into fragments of one
};

// What is left to do to a frame. Offsets lie inside it.
struct Offload {
    bool needs_checksum = false;  // the 16-bit sum of all from checksum_start on goes checksum_offset behind that
    bool checksum_right = false;  // it was looked at already
    uint16_t checksum_start = 0;  // bytes
    uint16_t checksum_offset = 0;
    Segmentation segmentation = Segmentation::kNone;
    bool ecn = false;            // of TCP: the first segment alone carries CWR
    uint16_t segment_bytes = 0;  // of payload in each segment; not 0 if there is something to cut
    uint16_t header_bytes = 0;   // before the payload; a hint
    bool operator==(const Offload&) const = default;
};

// Which of that somebody takes. Cutting implies sums.
struct Offloads {
    bool checksum = false;
    bool tcp4 = false;
    bool tcp6 = false;
    bool ecn = false;
    bool udp = false;
    bool udp_fragments = false;

    bool takes(const Offload& offload) const {
        if (offload.needs_checksum && !checksum) return false;
        if (offload.ecn && !ecn) return false;
        switch (offload.segmentation) {
            case Segmentation::kNone:
                return true;
            case Segmentation::kTcp4:
                return checksum && tcp4;
            case Segmentation::kTcp6:
                return checksum && tcp6;
            case Segmentation::kUdp:
                return checksum && udp;
            case Segmentation::kUdpFragments:
                return checksum && udp_fragments;
        }
        return false;
    }
    bool operator==(const Offloads&) const = default;
};

// Between kMinFrame and kMaxFrame bytes, which are the caller's and valid for the call.
struct Frame {
    Offload offload;
    std::span<const uint8_t> bytes;
};

// The card. Called on the I/O thread with no lock of the port's held.
class Receiver {
  public:
    virtual ~Receiver() = default;
    // Takes frames from the first on and returns how many; the others may come again after Port::resume.
    virtual size_t receive(std::span<const Frame> frames) = 0;
    // Port::send takes frames again.
    virtual void sendable() = 0;
    virtual void link_changed(bool up) = 0;
};

// One place of a network. Called on the I/O thread, but for `accepts` and `link_up`: on any.
class Port {
  public:
    virtual ~Port() = default;

    // The card that is plugged in; null: none any more. It outlives its place here.
    virtual void attach(Receiver* receiver) = 0;
    // What frames may be sent with. Does not change.
    virtual Offloads accepts() const = 0;
    virtual bool link_up() const = 0;

    // Takes frames from the first on and returns how many: less than all when there is no room, and then the receiver
    // hears when there is. What it takes it may still lose, as wires do. Never calls the receiver.
    virtual size_t send(std::span<const Frame> frames) = 0;

    // What frames may come with from now on; at first, nothing. The network does the rest itself.
    virtual void set_received(const Offloads& offloads) = 0;
    // The receiver has room again, after it took less than all. Never calls it.
    virtual void resume() = 0;
};

}  // namespace doppel::network
