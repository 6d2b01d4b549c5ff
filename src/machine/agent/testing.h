// A pipe whose other end a test holds, as the guest's agent would.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "agent/frame.h"
#include "base/byte_order.h"
#include "machine/agent/link.h"

namespace doppel::machine::agent {

class FakePipe final : public Pipe {
  public:
    bool send(std::span<const uint8_t> bytes) override {
        if (!has_room) return false;
        reader.feed(bytes);
        return true;
    }
    void listen(PipeListener& listener) override { listener_ = &listener; }

    void open(bool state) { listener_->pipe_opened(state); }
    void room() {
        has_room = true;
        listener_->pipe_has_room();
    }
    void say(std::span<const uint8_t> bytes) { listener_->pipe_received(bytes); }
    void say(FrameType type, uint8_t stream, uint32_t channel, std::span<const uint8_t> payload = {}) {
        std::vector<uint8_t> bytes;
        doppel::agent::append_frame(bytes, {type, stream, channel, payload});
        say(bytes);
    }
    void say_text(FrameType type, uint8_t stream, uint32_t channel, std::string_view text) {
        say(type, stream, channel, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    void say_result(uint32_t channel, const doppel::agent::Outcome& outcome = {}) {
        say(FrameType::kResult, 0, channel, doppel::agent::encode(outcome));
    }
    void say_credit(uint32_t channel, uint32_t bytes) {
        uint8_t raw[4];
        store_le(raw, bytes);
        say(FrameType::kCredit, 0, channel, raw);
    }
    // The next frame of the host as "TYPE/STREAM/CHANNEL:payload", HELLOs as "hello"; empty: there is none.
    std::string next() {
        Frame frame;
        if (reader.next(frame) != doppel::agent::FrameReader::Found::kFrame) return {};
        if (frame.type == FrameType::kHello) {
            session = doppel::agent::parse_hello(frame.payload)->session;
            return "hello";
        }
        return std::to_string(static_cast<int>(frame.type)) + "/" + std::to_string(frame.stream) + "/" +
               std::to_string(frame.channel) + ":" + std::string(frame.payload.begin(), frame.payload.end());
    }
    void answer_hello(uint64_t with_session) {
        std::vector<uint8_t> bytes;
        doppel::agent::append_hello(bytes, {.session = with_session, .services = 0xff});
        say(bytes);
    }
    // As an agent that has just opened the port.
    void greet() {
        open(true);
        while (next() != "hello") {
        }
        answer_hello(session);
    }

    doppel::agent::FrameReader reader;
    uint64_t session = 0;
    bool has_room = true;

  private:
    PipeListener* listener_ = nullptr;
};

}  // namespace doppel::machine::agent
