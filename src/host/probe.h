// What this host can do, by trying it: no probe trusts a version number or the presence of a file alone where it can
// act.
#pragma once

#include <chrono>
#include <span>
#include <string_view>
#include <vector>

#include "host/finding.h"

namespace doppel::host {

struct Probe {
    std::string_view name;  // the finding's name
    Finding (*run)();
};

std::span<const Probe> probes();  // ascending by name

// Runs one probe in a child process of its own: what it unshares, mounts, maps or breaks goes with the child. A probe
// that does not answer in time, or dies, is reported as missing. Needs no privilege. May be called while other threads
// run.
Finding run_guarded(const Probe& probe, std::chrono::milliseconds limit);

// All probes, one after the other so that none disturbs another's timing. About a second where ring 0 is slow.
std::vector<Finding> probe_all();

}  // namespace doppel::host
