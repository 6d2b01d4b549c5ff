// From the command line to the verb.
#pragma once

#include <string>
#include <vector>

namespace doppel::cli {

// The whole program: `words` are argv without argv[0]; the result is the exit code. Prints at most one line of error.
int dispatch(const std::vector<std::string>& words);

}  // namespace doppel::cli
