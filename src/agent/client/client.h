// A connection to a machine's socket of the agent (`--agent socket:FILE`), for the verbs that need the guest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/frame.h"
#include "agent/messages.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::agent::client {

// What a request is connected to at this side. Descriptors are borrowed; a blocking one may block this process.
struct Streams {
    int input = -1;   // for the request's INPUT; -1: it ends at once
    int output = -1;  // -1: thrown away
    int error = -1;
    // While `wake` is readable `control` is asked for what to tell the program; it takes what makes `wake` readable.
    int wake = -1;
    std::function<std::optional<Control>()> control;
    std::function<void(const Bytes&)> info;  // INFO, before any output
};

// One thread at a time. Each request has the connection to itself.
class Client {
  public:
    // Waits for the machine to accept, and for the guest's agent, `patience` milliseconds at most (-1: without end).
    static Result<Client> connect(const std::filesystem::path& socket, int patience);

    bool can(Service service) const { return (services_ >> static_cast<unsigned>(service) & 1) != 0; }

    // Asks and carries bytes until it is done. An error: the connection broke, or a descriptor of `streams` failed (the
    // request is then given up). What went wrong in the guest is the outcome's.
    Result<Outcome> run(Service service, const Bytes& request, const Streams& streams = {});

  private:
    explicit Client(UniqueFd socket) : socket_(std::move(socket)) {}
    Result<> greet(int patience);

    UniqueFd socket_;
    FrameReader reader_;
    uint64_t services_ = 0;
    uint32_t next_channel_ = 1;
};

// An outcome that is not kDone, as an error; `failed` is what was to be done: "copy".
Error error_of(const Outcome& outcome, std::string failed);

// A file, with its mode and time, to or from the guest; appears under its name when it is whole.

Result<> put_file(Client& client, const std::filesystem::path& from, PutRequest request);
Result<> get_file(Client& client, const std::string& from, const std::filesystem::path& to);

Result<Statistics> get_statistics(Client& client);

}  // namespace doppel::agent::client
