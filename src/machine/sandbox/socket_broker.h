// Connects to unix sockets beside one that has a path, for a process that is confined and cannot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::machine::sandbox {

// A small process beside this one that connects to PATH_PORT and to nothing else, whatever this process asks for: a
// request is a number. It ends with this one.
class SocketBroker {
  public:
    // "_" and the digits of a port.
    static constexpr size_t kSuffix = 11;

    struct Answer {
        uint32_t port;
        UniqueFd socket;  // a stream, non-blocking; none: nobody listens there
    };

    // Forks: call it while the process has one thread and little memory, which the other one keeps. `path` is at most
    // kMaxSocketPath - kSuffix bytes long.
    static Result<std::unique_ptr<SocketBroker>> start(const std::filesystem::path& path);
    SocketBroker(const SocketBroker&) = delete;
    SocketBroker& operator=(const SocketBroker&) = delete;

    // Answers come in the order of requests. False when the broker is gone or has too much to do.
    [[nodiscard]] bool request(uint32_t port);
    // What is readable when there is an answer; and at the broker's end, after which nothing comes.
    int descriptor() const { return link_.get(); }
    std::optional<Answer> take();
    // After `take` gave nothing: it never will again.
    bool gone() const { return gone_; }

  private:
    explicit SocketBroker(UniqueFd link) : link_(std::move(link)) {}
    UniqueFd link_;
    bool gone_ = false;
};

}  // namespace doppel::machine::sandbox
