// The executables beside doppel.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace doppel::cli {

// Replaces this process. Returns only when that failed. `words` are the arguments behind argv[0].
Error become(const std::string& executable, const std::vector<std::string>& words);

// Runs it and waits: the exit code, or 128 + n when signal n ended it. Its standard output goes to standard error. The
// user's Ctrl-C reaches it and is survived here.
Result<int> run_and_wait(const std::string& executable, const std::vector<std::string>& words);

}  // namespace doppel::cli
