// Programs in a guest.
#pragma once

#include <string>
#include <vector>

#include "agent/client/client.h"
#include "base/result.h"
#include "instance/store.h"

namespace doppel::cli {

// The agent of one that runs; an error says why it is not to be had.
Result<agent::client::Client> agent_of(const instance::Store& store, const instance::Instance& instance);

// What the outcome of a program means for whoever called doppel; what went wrong before it ran is an error.
Result<int> code_of(const agent::Outcome& outcome, const std::string& program);

}  // namespace doppel::cli
