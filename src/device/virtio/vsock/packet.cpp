#include "device/virtio/vsock/packet.h"

#include <linux/virtio_vsock.h>

#include "base/byte_order.h"

namespace doppel::device::virtio::vsock {

static_assert(sizeof(virtio_vsock_hdr) == Header::kBytes);

Header Header::parse(std::span<const uint8_t, kBytes> raw) {
    const auto at = [&]<class T>(size_t offset, T) { return load_le<T>(&raw[offset]); };
    Header header;
    header.source_cid = at(offsetof(virtio_vsock_hdr, src_cid), uint64_t{});
    header.destination_cid = at(offsetof(virtio_vsock_hdr, dst_cid), uint64_t{});
    header.source_port = at(offsetof(virtio_vsock_hdr, src_port), uint32_t{});
    header.destination_port = at(offsetof(virtio_vsock_hdr, dst_port), uint32_t{});
    header.length = at(offsetof(virtio_vsock_hdr, len), uint32_t{});
    header.type = at(offsetof(virtio_vsock_hdr, type), uint16_t{});
    header.operation = static_cast<Operation>(at(offsetof(virtio_vsock_hdr, op), uint16_t{}));
    header.flags = at(offsetof(virtio_vsock_hdr, flags), uint32_t{});
    header.buffer = at(offsetof(virtio_vsock_hdr, buf_alloc), uint32_t{});
    header.forwarded = at(offsetof(virtio_vsock_hdr, fwd_cnt), uint32_t{});
    return header;
}

std::array<uint8_t, Header::kBytes> Header::raw() const {
    std::array<uint8_t, kBytes> raw{};
    store_le(&raw[offsetof(virtio_vsock_hdr, src_cid)], source_cid);
    store_le(&raw[offsetof(virtio_vsock_hdr, dst_cid)], destination_cid);
    store_le(&raw[offsetof(virtio_vsock_hdr, src_port)], source_port);
    store_le(&raw[offsetof(virtio_vsock_hdr, dst_port)], destination_port);
    store_le(&raw[offsetof(virtio_vsock_hdr, len)], length);
    store_le(&raw[offsetof(virtio_vsock_hdr, type)], type);
    store_le(&raw[offsetof(virtio_vsock_hdr, op)], static_cast<uint16_t>(operation));
    store_le(&raw[offsetof(virtio_vsock_hdr, flags)], flags);
    store_le(&raw[offsetof(virtio_vsock_hdr, buf_alloc)], buffer);
    store_le(&raw[offsetof(virtio_vsock_hdr, fwd_cnt)], forwarded);
    return raw;
}

}  // namespace doppel::device::virtio::vsock
