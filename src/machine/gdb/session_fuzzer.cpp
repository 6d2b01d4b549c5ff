#include "machine/gdb/session.h"

#include <cstdlib>

#include "machine/gdb/fake_target.h"

namespace {

using namespace doppel::machine::gdb;

// Bytes to the packets in between, so that the fuzzer need not guess checksums.
constexpr char kFramed = 0x1e, kStops = 0x1d, kRaw = 0x1f;

}  // namespace

// Parts that a byte of kFramed, kStops or kRaw begins: a packet's payload, stops of the target, bytes as they come.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fake::Machine target;
    size_t replied = 0;
    Session session(target, [&](std::string_view payload) {
        if (payload.size() > 4 * kMaxPacket) std::abort();
        replied += frame(payload).size();
    });
    PacketReader reader;
    auto feed = [&](std::string_view bytes) {
        while (auto item = reader.next(bytes)) {
            if (item->kind == Kind::kPacket) session.handle(item->payload);
            if (item->kind == Kind::kInterrupt) session.interrupt();
        }
    };
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    while (!rest.empty()) {
        char kind = rest.front();
        std::string_view part = rest.substr(1, rest.find_first_of("\x1d\x1e\x1f", 1) - 1);
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
        if (kind == kFramed) {
            session.handle(part);
        } else if (kind == kStops) {
            for (char c : part) {
                auto byte = static_cast<uint8_t>(c);
                target.stops.push_back({byte % fake::Machine::kThreads, static_cast<Stop::Reason>(byte / 3 % 3), byte,
                                        static_cast<PointKind>(2 + byte % 3)});
            }
            session.target_stopped();
        } else if (kind == kRaw) {
            feed(part);
        } else {
            feed(std::string(1, kind));
            feed(part);
        }
    }
    session.leave();
    if (!target.points.empty()) std::abort();
    return replied == SIZE_MAX ? 1 : 0;
}
