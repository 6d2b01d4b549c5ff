// What the verbs for instances share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/arguments.h"
#include "instance/lifecycle.h"
#include "instance/store.h"

namespace doppel::cli {

// At least one name, else an error of kind usage.
Result<std::vector<std::string>> names_of(const Arguments& arguments);

// Does it for each name that the command line gives, with its instance, and goes on after failures, which it prints:
// the exit code. `deleted`: among those that were removed.
Result<int> for_each_name(const Arguments& arguments, instance::Store& store,
                          const std::function<Result<>(const instance::Instance&)>& what, bool deleted = false);

// The one operand.
Result<std::string> one_name(const Arguments& arguments);

// One that runs, and takes part: not one that only starts or ends.
Result<instance::Instance> find_running(instance::Store& store, const std::string& name, const std::string& failed);

// Starts what stands still, with its image, which is made first if need be. `attach` and the result:
// as instance::start.
Result<UniqueFd> start_instance(const instance::Store& store, const instance::Instance& instance, int attach = -1);
// The same, holding it meanwhile. One that runs already is left alone.
Result<> start_if_stopped(instance::Store& store, const instance::Instance& instance);

// --timeout in milliseconds.
Result<int> timeout_of(const Arguments& arguments);

// RFC 3339.
std::string time_text(uint64_t nanoseconds);

}  // namespace doppel::cli
