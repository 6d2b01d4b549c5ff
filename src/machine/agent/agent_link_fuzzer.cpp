// The host's end of the agent's protocol under a hostile guest.
#include <cstdlib>

#include "machine/agent/testing.h"

namespace {

using namespace doppel;
using namespace doppel::machine::agent;

// Notes that nothing comes before its opening or behind its result.
struct Owner final : ChannelOwner {
    void from_agent(const Frame& frame) override {
        if (ended) std::abort();
        ended = frame.type == FrameType::kResult;
    }
    bool ended = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ManualClock clock;
    auto loop = std::move(*EventLoop::create(clock));
    FakePipe pipe;
    AgentLink link(*loop, pipe);
    std::deque<Owner> owners;
    pipe.greet();
    for (size_t at = 0; at + 2 < size;) {
        const uint8_t action = data[at], more = data[at + 1];
        at += 2;
        const size_t length = std::min<size_t>(more, size - at);
        const std::span<const uint8_t> bytes(data + at, length);
        switch (action & 7) {
            case 0: {
                owners.emplace_back();
                if (!link.open(owners.back(), more, {})) owners.pop_back();
                break;
            }
            case 1:
                (void)!link.send({static_cast<FrameType>(more % 10), static_cast<uint8_t>(action >> 6),
                                  static_cast<uint32_t>(action >> 3), bytes});
                break;
            case 2:
                link.abandon(action >> 3);
                break;
            case 3:
                pipe.say(bytes);
                at += length;
                break;
            case 4:
                pipe.open((more & 1) != 0);
                break;
            case 5:
                clock.advance(uint64_t{more} << 24);
                loop->run_ready();
                while (!pipe.next().empty()) {
                }
                if ((action & 0x80) != 0) pipe.answer_hello(pipe.session);
                break;
            default:
                pipe.say(static_cast<FrameType>(action >> 4), more % 4, action >> 3 & 7, bytes);
                at += length;
        }
    }
    return 0;
}
