// The header of a vsock packet (virtio 1.2, 5.10.6).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>

namespace doppel::device::virtio::vsock {

inline constexpr uint64_t kHostCid = 2;

// 5.10.6: what VIRTIO_VSOCK_OP_* of linux/virtio_vsock.h numbers.
enum class Operation : uint16_t {
    kInvalid = 0,
    kRequest = 1,
    kResponse = 2,
    kReset = 3,
    kShutdown = 4,
    kData = 5,
    kCreditUpdate = 6,
    kCreditRequest = 7,
};

inline constexpr uint16_t kStream = 1;  // the type

// Flags of kShutdown: who says it will receive (send) no more.
inline constexpr uint32_t kNoReceive = 1, kNoSend = 2, kNeither = 3;

struct Header {
    static constexpr size_t kBytes = 44;

    uint64_t source_cid = 0;
    uint64_t destination_cid = 0;
    uint32_t source_port = 0;
    uint32_t destination_port = 0;
    uint32_t length = 0;  // of the payload behind it, in bytes
    uint16_t type = kStream;
    Operation operation = Operation::kInvalid;  // the guest's may be none of these
    uint32_t flags = 0;
    uint32_t buffer = 0;     // buf_alloc: what the sender can hold
    uint32_t forwarded = 0;  // fwd_cnt: how much of what it received the sender has got rid of, modulo 2^32

    static Header parse(std::span<const uint8_t, kBytes> raw);
    std::array<uint8_t, kBytes> raw() const;
};

// What a connection is known by.
struct Ports {
    uint32_t guest = 0;
    uint32_t host = 0;
    auto operator<=>(const Ports&) const = default;
};

}  // namespace doppel::device::virtio::vsock
