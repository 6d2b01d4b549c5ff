// What the built verbs do. Each returns doppel's exit code (CLI.md, "Exit codes"), or an error for the caller to print.
#pragma once

#include "base/result.h"
#include "cli/arguments.h"

namespace doppel::cli {

Result<int> run_run(const Arguments& arguments);
Result<int> run_image(const Arguments& arguments);
Result<int> run_disk(const Arguments& arguments);
Result<int> run_network(const Arguments& arguments);
Result<int> run_cache(const Arguments& arguments);
Result<int> run_doctor(const Arguments& arguments);
Result<int> run_completion(const Arguments& arguments);
Result<int> run_version(const Arguments& arguments);
Result<int> run_help(const Arguments& arguments);

}  // namespace doppel::cli
