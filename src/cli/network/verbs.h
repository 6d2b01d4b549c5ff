// What `doppel network` can do. Each returns the exit code, or an error for the caller to print.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace doppel::cli::network {

struct CreateCommand {
    std::string name, uplink = "nat", subnet;
    bool restricted = false, no_services = false;
};
Result<int> create(const CreateCommand& command);

struct ListCommand {
    bool as_json = false;
};
Result<int> list(const ListCommand& command);

struct RemoveCommand {
    std::vector<std::string> names;
    bool force = false;  // members or not
};
Result<int> remove(const RemoveCommand& command);

struct ShowCommand {
    std::string name;
    bool as_json = false;
};
Result<int> show(const ShowCommand& command);

struct CaptureCommand {
    std::string name, port, output = "-";
    uint64_t frames = 0, seconds = 0;  // until it ends; 0: until it is interrupted
};
Result<int> capture(const CaptureCommand& command);

}  // namespace doppel::cli::network
