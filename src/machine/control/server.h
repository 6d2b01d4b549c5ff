// The machine's control socket: whoever may open it decides over the machine.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "machine/control/protocol.h"
#include "machine/sandbox/file_remover.h"

namespace doppel::machine::control {

// The machine, as requests see it. On the loop's thread.
class Target {
  public:
    virtual ~Target() = default;
    // `descriptors`: what came with it.
    virtual Result<> carry_out(const Request& request, std::vector<UniqueFd> descriptors) = 0;
    virtual Status status() const = 0;
};

// Requests of a client are answered in their order; what is no request is answered by an error, and a line without
// end by the end of the connection. On the loop's thread.
class ControlServer {
  public:
    static constexpr size_t kMaxDescriptors = 4;  // with one message
    static constexpr size_t kMaxClients = 16;     // further ones wait until one has gone

    // The socket's file is given to `remover`, if there is one. The target outlives the server.
    static Result<std::unique_ptr<ControlServer>> open(const std::string& path, EventLoop& loop, Target& target,
                                                       sandbox::FileRemover* remover);
    ~ControlServer();

  private:
    struct Client {
        UniqueFd socket;
        std::string input;
        std::vector<UniqueFd> descriptors;  // for the next request
    };
    ControlServer(EventLoop& loop, Target& target, UniqueFd listener)
        : loop_(loop), target_(target), listener_(std::move(listener)) {}
    void accept_client();
    void read_client(int fd);
    bool serve(Client& client);
    std::string answer(std::string_view line, std::vector<UniqueFd> descriptors);
    static ssize_t receive(Client& client, std::span<char> into);
    void leave(int fd);
    void update_listener();

    EventLoop& loop_;
    Target& target_;
    UniqueFd listener_;
    bool listening_ = false;
    std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace doppel::machine::control
