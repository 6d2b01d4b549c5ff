// A member's place at a switch: frames go through memory that both share (network/ring).
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "network/port.h"
#include "network/ring/ring.h"

namespace doppel::network::lan {

class MemberPort final : public Port {
  public:
    // What a switch's port takes; it cuts and sums for those who do not.
    static constexpr Offloads kAccepted{.checksum = true, .tcp4 = true, .tcp6 = true, .ecn = true, .udp = true};

    // Of an answer to a JoinRequest. `name` is the network's. The loop outlives it.
    static Result<std::unique_ptr<MemberPort>> create(EventLoop& loop, std::string name, UniqueFd socket,
                                                      ring::Memory memory);
    ~MemberPort() override;

    void attach(Receiver* receiver) override;
    Offloads accepts() const override { return kAccepted; }
    bool link_up() const override { return up_.load(); }
    size_t send(std::span<const Frame> frames) override;
    void set_received(const Offloads& offloads) override;
    void resume() override;

  private:
    static constexpr size_t kBatch = 64;

    MemberPort(EventLoop& loop, std::string name, UniqueFd socket, ring::Memory memory);
    void ready();
    void pump();
    void pump_later();
    void lose_link(const char* why);

    EventLoop& loop_;
    const std::string name_;
    UniqueFd socket_;
    ring::Memory memory_;
    ring::Writer writer_;
    ring::Reader reader_;
    Receiver* receiver_ = nullptr;
    std::atomic<bool> up_{true};
    bool full_ = false;                                           // the ring took less than all
    bool pumping_later_ = false;                                  // `pump` is posted
    bool stuck_ = false;                                          // the receiver took less than all
    std::vector<Frame> frames_;                                   // in the ring
    size_t delivered_ = 0;                                        // of them
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for messages to the loop
};

}  // namespace doppel::network::lan
