// An interface of the host (TAP) as a network: frames with their offload headers, for those who may make one.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "network/port.h"

namespace doppel::machine {

struct Tap {
    UniqueFd file;
    std::string name;
    uint16_t mtu;
};
// The host's TAP interface of this name, made if there is none, and up. It is gone with the descriptor, unless it was
// made to stay (`ip tuntap add`).
Result<Tap> open_tap(const std::string& name);
// A new one that is plugged into a bridge of the host.
Result<Tap> open_tap_at_bridge(const std::string& bridge);

class TapPort final : public network::Port {
  public:
    static constexpr network::Offloads kAccepted{.checksum = true, .tcp4 = true, .tcp6 = true, .ecn = true};

    // The loop outlives it.
    static Result<std::unique_ptr<TapPort>> create(EventLoop& loop, Tap tap);
    ~TapPort() override;

    void attach(network::Receiver* receiver) override { receiver_ = receiver; }
    network::Offloads accepts() const override { return kAccepted; }
    bool link_up() const override { return up_.load(); }
    size_t send(std::span<const network::Frame> frames) override;
    void set_received(const network::Offloads& offloads) override;
    void resume() override;

  private:
    TapPort(EventLoop& loop, Tap tap) : loop_(loop), tap_(std::move(tap)) {}
    void ready();
    // Whether the receiver took what was read.
    bool deliver();

    EventLoop& loop_;
    const Tap tap_;
    network::Receiver* receiver_ = nullptr;
    std::atomic<bool> up_{true};
    std::vector<uint8_t> buffer_;
    size_t length_ = 0;  // of what is in it and was not taken yet; 0: nothing
    bool stuck_ = false, resumed_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for messages to the loop
};

}  // namespace doppel::machine
