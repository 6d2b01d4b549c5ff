// What another process says is a frame: its bytes are the message's, and what is left to do to them lies inside.
#include <cstdlib>
#include <vector>

#include "network/checksum.h"
#include "network/link/message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::network;
    std::vector<uint8_t> message(data, data + size);
    const auto frame = link::frame_of(message);
    if (!frame) return 0;
    if (frame->bytes.data() != message.data() + link::kHeaderBytes || frame->bytes.size() + link::kHeaderBytes != size)
        std::abort();
    const auto header = link::header_of(frame->offload);
    std::copy(header.begin(), header.end(), message.begin());
    const auto again = link::frame_of(message);
    if (!again || again->offload != frame->offload) std::abort();
    const std::span<uint8_t> bytes(message.data() + link::kHeaderBytes, frame->bytes.size());
    if (frame->offload.needs_checksum)
        complete_checksum(bytes, frame->offload.checksum_start, frame->offload.checksum_offset);
    return 0;
}
