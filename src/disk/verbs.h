// What `doppel disk` can do. Each returns the exit code, or an error for the caller to print.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace doppel::disk {

struct CreateCommand {
    std::string file, size;
    std::string format = "raw", backing, backing_format;
    std::vector<std::string> options;
    bool unchecked = false;  // the backing disk need not exist
    bool quiet = false;
};
Result<int> create(const CreateCommand& command);

struct InfoCommand {
    std::string file, format;
    bool chain = false, as_json = false;
};
Result<int> info(const InfoCommand& command);

struct CheckCommand {
    std::string file, format, repair;  // "", "leaks" or "all"
    bool as_json = false;
};
Result<int> check(const CheckCommand& command);

struct ResizeCommand {
    std::string file, size, format;
    std::string preallocation = "off";
    bool shrink = false, as_json = false;
};
Result<int> resize(const ResizeCommand& command);

struct ConvertCommand {
    std::string source, target;
    std::string source_format, target_format = "raw", snapshot, backing, backing_format;
    std::vector<std::string> options;
    bool compress = false, as_json = false;
};
Result<int> convert(const ConvertCommand& command);

struct MapCommand {
    std::string file, format;
    bool as_json = false, share = false;
};
Result<int> map(const MapCommand& command);

}  // namespace doppel::disk
