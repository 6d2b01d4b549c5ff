// The host's side of a machine's vsock: unix sockets, the Firecracker way.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/result.h"
#include "device/virtio/vsock/host.h"
#include "machine/sandbox/file_remover.h"
#include "machine/sandbox/socket_broker.h"

namespace doppel::machine {

// Clients come to `path`; the guest's connections go to `path`_PORT, through a broker, since the machine is confined.
class VsockHost final : public device::virtio::vsock::Host {
  public:
    // Listens. Before the loop runs; the loop outlives it. `remover` removes the socket in the end.
    static Result<std::unique_ptr<VsockHost>> open(const std::string& path, EventLoop& loop,
                                                   std::unique_ptr<sandbox::SocketBroker> broker,
                                                   sandbox::FileRemover& remover);
    ~VsockHost() override;

    void connect(uint32_t port, std::function<void(UniqueFd)> connected) override;
    void listen(std::function<void(UniqueFd)> client) override { client_ = std::move(client); }

  private:
    VsockHost(EventLoop& loop, UniqueFd listener, std::unique_ptr<sandbox::SocketBroker> broker)
        : loop_(loop),
          listener_(std::move(listener)),
          broker_(std::move(broker)),
          retry_(loop, [this] { accept_clients(); }) {}
    void accept_clients();
    void take_answers();

    EventLoop& loop_;
    UniqueFd listener_;
    std::unique_ptr<sandbox::SocketBroker> broker_;
    EventLoop::Timer retry_;
    std::function<void(UniqueFd)> client_;
    std::deque<std::function<void(UniqueFd)>> dialling_;  // in the order of the broker's answers
};

}  // namespace doppel::machine
