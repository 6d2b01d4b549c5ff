// A port whose network is another process, at the other end of a socket (message.h).
#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "network/port.h"

namespace doppel::network::link {

class SocketPort final : public Port {
  public:
    // `socket` is non-blocking, of kind SOCK_SEQPACKET; `accepts` is what the other process takes. The loop outlives
    // it.
    static Result<std::unique_ptr<SocketPort>> create(EventLoop& loop, UniqueFd socket, const Offloads& accepts);
    ~SocketPort() override;

    void attach(Receiver* receiver) override;
    Offloads accepts() const override { return accepts_; }
    bool link_up() const override { return up_.load(); }
    size_t send(std::span<const Frame> frames) override;
    // Frames come as they would from a wire.
    void set_received(const Offloads&) override {}
    void resume() override;

  private:
    static constexpr size_t kBatch = 32;  // messages that are read at once

    SocketPort(EventLoop& loop, UniqueFd socket, const Offloads& accepts)
        : loop_(loop), socket_(std::move(socket)), accepts_(accepts) {}
    void ready(uint32_t events);
    void read_batch();
    // Whether the receiver took all that was read.
    bool deliver();
    void watch();
    void lose_link();

    EventLoop& loop_;
    UniqueFd socket_;
    const Offloads accepts_;
    Receiver* receiver_ = nullptr;
    std::atomic<bool> up_{true};
    bool full_ = false;                                           // the socket took less than all
    bool resumed_ = false;                                        // `deliver` is posted
    uint32_t watched_ = 0;                                        // events
    std::vector<uint8_t> buffer_;                                 // kBatch messages
    std::vector<Frame> frames_;                                   // in it
    size_t delivered_ = 0;                                        // of them
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for messages to the loop
};

}  // namespace doppel::network::link
