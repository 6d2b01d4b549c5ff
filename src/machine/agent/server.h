// The guest's agent for other processes of the host: a Unix socket (`--agent socket:FILE`) whose clients speak the
// agent's protocol, each with channels of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "machine/agent/link.h"
#include "machine/sandbox/file_remover.h"

namespace doppel::machine::agent {

// A client sends HELLO and gets one back as soon as there is a session with the agent (with the agent's services; the
// session number is the client's). It may open channels then. A channel ends with Status::kLost when the agent goes
// away, or is not there. What breaks the protocol ends the connection; that a client reads slowly slows only itself.
// On the loop's thread.
class AgentServer final : public LinkListener {
  public:
    static constexpr size_t kMaxClients = 32;  // further ones wait until one has gone

    // The socket's file is given to `remover`, if there is one. The link outlives the server.
    static Result<std::unique_ptr<AgentServer>> open(const std::string& path, EventLoop& loop, AgentLink& link,
                                                     sandbox::FileRemover* remover);
    ~AgentServer() override;

    void agent_came() override;
    void link_has_room() override;
    size_t clients() const { return clients_.size(); }

  private:
    class Client;
    AgentServer(EventLoop& loop, AgentLink& link, UniqueFd listener);
    void accept_clients();
    void update_listener();
    void sweep_soon();
    void sweep();

    EventLoop& loop_;
    AgentLink& link_;
    UniqueFd listener_;
    bool listening_ = false;
    bool sweep_posted_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace doppel::machine::agent
