// What keeps an instance to its limits: cgroups of its own where they are to be had, else its machine and the host's
// scheduler.
//
// `directory` is the instance's, whose last component is its id. The environment's DOPPEL_CGROUPS=off leaves cgroups
// alone.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "machine/control/protocol.h"
#include "machine/spec/specification.h"

namespace doppel::instance {

// A limit, under its key in the specification, and what carries it, in words.
struct Carried {
    std::string limit, value, by;
};

// For an instance that is about to start: makes its cgroups in place of those that an earlier run left. Only the limits
// that its machine has to see to itself are left in `machine`. A limit that nothing can carry is an error.
Result<> prepare_limits(const std::filesystem::path& directory, machine::Specification& machine);

// Of one that runs, whose machine is the process `pid`. What cannot be carried now is told by `later`, and why.
struct Change {
    const machine::Specification& before;
    const machine::Specification& after;
    pid_t machine;
    std::function<Result<>(const machine::control::Limits&)> ask;  // the machine, to keep to them by itself
};
struct Changed {
    std::vector<Carried> now;    // value empty: no longer limited
    std::vector<Carried> later;  // `by`: why not now
};
Changed change_limits(const std::filesystem::path& directory, const Change& change);

// Removes the cgroups of one that has ended. False: something is left in them, and the next command tries again. What
// the machine had started may end a moment after it: that can be waited for, or put out of them.
enum class Leftovers { kLeave, kAwait, kPutOut };
bool release_cgroups(const std::filesystem::path& directory, Leftovers leftovers);
bool has_cgroups(const std::filesystem::path& directory);

// All limits of `machine`: of one that runs, or ran last, by the files in `directory`.
std::vector<Carried> carried_limits(const std::filesystem::path& directory, const machine::Specification& machine);
// What would carry them on this host, tried out; `instance`: for a machine that is kept.
std::vector<Carried> expected_limits(const machine::Specification& machine, bool instance);
// Of a machine that is no instance, and has no cgroups: a limit that it cannot see to itself is an error.
Result<> check_without_cgroups(const machine::Specification& machine);

}  // namespace doppel::instance
