// Starting, ending and reaching what runs.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "agent/client/client.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "instance/store.h"
#include "machine/control/client.h"

namespace doppel::instance {

// The executables that are needed.
struct Programs {
    std::filesystem::path keeper, machine, instance;
};

// Starts the keeper and returns when guest code runs. `machine` is the document's with what its image brings. The
// caller holds the instance (ChangesLock). `attach` becomes the console's first client; -1: none. That the machine
// could not start is an error with its own words. The result is a pipe from which `wait_for_code` reads.
Result<UniqueFd> start(const Store& store, const Instance& instance, machine::Specification machine,
                       const Programs& programs, int attach = -1);

// When it has ended for good: its exit code, or nothing when its keeper was killed.
std::optional<int> wait_for_code(UniqueFd report);

// Asks the guest to shut down, by its agent or its power key, and ends the machine after `patience` milliseconds.
// Not running is success.
Result<> stop(Store& store, const Instance& instance, int patience);
// Ends it at once.
Result<> kill(Store& store, const Instance& instance);
// Until nothing of it runs any more, `patience` milliseconds at most (-1: without end): whether that is so. A keeper
// that was killed has no part in it.
bool wait_until_stopped(const Store& store, const Instance& instance, int patience);

Result<machine::control::Status> control(const Store& store, const Instance& instance,
                                         const machine::control::Request& request, int descriptor = -1);
Result<agent::client::Client> reach_agent(const Store& store, const Instance& instance, int patience);
Result<UniqueFd> open_console(const Store& store, const Instance& instance);

// It does not run, or only just begins or ends.
Error not_running(const Instance& instance, std::string failed);

}  // namespace doppel::instance
