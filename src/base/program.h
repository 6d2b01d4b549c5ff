// The executables that were installed together.
#pragma once

#include <string>

#include "base/result.h"

namespace doppel {

// The path of an executable beside this process's own file, links resolved: as built, all in one folder; as installed,
// `doppel` in bin and the others in libexec/doppel. One that is missing is named where it would be built.
Result<std::string> beside(const std::string& name);

// That the executable at `path` did not start.
Error cannot_start(const std::string& path, int error_number);

}  // namespace doppel
