// Running one of the distribution's tools to its end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "image/stop.h"

namespace doppel::image {

struct Command {
    std::vector<std::string> arguments;  // the first is looked up on PATH; no shell is involved
    std::vector<std::pair<std::string, std::string>> environment{};  // set on top of this process's own
    std::filesystem::path directory{};                               // where it runs; empty: here
    std::function<void(std::string_view)> status_line{};  // if set: called for each line it writes to descriptor 3
    std::function<void(std::string_view)> output_line{};  // if set: called for each line of its standard output
};

struct Finished {
    int exit_code = 0;        // 128 + n when a signal n ended it
    std::string output;       // its standard output, the first MiB
    std::string diagnostics;  // its standard error, likewise

    bool succeeded() const { return exit_code == 0; }
};

inline constexpr int kStatusDescriptor = 3;

// The child has no terminal input, a process group of its own, and ends when this process dies. On a stop request the
// group is terminated and waited for. An exit code other than 0 is no error here. Call from one thread at a time.
Result<Finished> run(const Command& command, const StopRequest& stop = {});

}  // namespace doppel::image
