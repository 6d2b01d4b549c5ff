// Where a user's switches are found by name, and how they are started. Its permissions are the access control: a folder
// of mode 0700 with a socket for each network.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "network/lan/network_options.h"
#include "network/lan/protocol.h"

namespace doppel::network::lan {

inline constexpr const char* kSwitchProgram = "doppel-switch";
inline constexpr const char* kSocketEnding = ".socket";
inline constexpr const char* kLogEnding = ".log";  // of what a switch has to say

class Folder {
  public:
    // Makes what is missing.
    static Result<Folder> of_user();
    Folder(std::filesystem::path sockets, std::filesystem::path definitions)
        : sockets_(std::move(sockets)), definitions_(std::move(definitions)) {}

    // What `create` was told; else default_network.
    Result<NetworkOptions> definition(const std::string& name) const;
    bool is_defined(const std::string& name) const;
    Result<> define(const NetworkOptions& options) const;
    Result<> forget(const std::string& name) const;
    // Defined or running (or dead), by name.
    std::vector<std::string> names() const;

    // A connection to a network's switch; none: nobody serves it now.
    Result<std::optional<UniqueFd>> connect(const std::string& name) const;
    // The same, starting the switch where there is none. One that was killed is told of.
    Result<UniqueFd> reach(const std::string& name) const;

  private:
    std::filesystem::path definition_path(const std::string& name) const;
    std::filesystem::path sockets_, definitions_;
};

// One request on a connection, and its answer, which is no error.
Result<Message> ask(int socket, const Json& request);

}  // namespace doppel::network::lan
