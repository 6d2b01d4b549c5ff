// Frames and messages of the agent's protocol, as either end reads them.
#include <cstdlib>

#include "agent/frame.h"
#include "agent/messages.h"

namespace {

using namespace doppel::agent;

// What can be read can be written and read again.
template <class Message>
void read_message(std::span<const uint8_t> payload) {
    const auto message = decode<Message>(payload);
    if (!message) return;
    const Bytes once = encode(*message);
    const auto again = decode<Message>(once);
    if (!again || encode(*again) != once) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::span<const uint8_t> bytes(data, size);
    read_message<ExecRequest>(bytes);
    read_message<Control>(bytes);
    read_message<PutRequest>(bytes);
    read_message<GetRequest>(bytes);
    read_message<FileInfo>(bytes);
    read_message<PowerRequest>(bytes);
    read_message<PciRequest>(bytes);
    read_message<IdentityRequest>(bytes);
    read_message<Statistics>(bytes);
    read_message<Outcome>(bytes);
    if (size == 0) return 0;
    FrameReader reader;
    std::vector<uint8_t> hello;
    append_hello(hello, {});
    if ((data[0] & 1) != 0) reader.feed(hello);
    const size_t step = data[0] / 2 + size_t{1};
    for (size_t at = 1; at < size; at += step) {
        reader.feed(bytes.subspan(at, std::min(step, size - at)));
        Frame frame;
        FrameReader::Found found{};
        while ((found = reader.next(frame)) == FrameReader::Found::kFrame) {
            if (frame.payload.size() > kMaxPayload) std::abort();
        }
        if (found == FrameReader::Found::kBroken) reader.lose();
        if (reader.kept() > kMaxFrame) std::abort();
    }
    return 0;
}
