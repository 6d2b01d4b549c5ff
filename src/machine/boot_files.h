// The files that a machine boots from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::machine {

// A file is opened when it is first read and held from then on: a reboot reads the same file again (with what was
// written into it meanwhile; not one that took its name), though the process may open none any more. One thread.
class BootFiles {
  public:
    static constexpr uint64_t kLargest = uint64_t{4} << 30;  // bytes of one file

    // The whole content. `purpose` names the step in errors: "read kernel".
    Result<std::vector<uint8_t>> read(const std::string& path, std::string_view purpose);

  private:
    std::map<std::string, UniqueFd> open_;
};

}  // namespace doppel::machine
