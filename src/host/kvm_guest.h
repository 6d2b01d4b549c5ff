// The smallest virtual machine that says something about a host's KVM.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::host {

// A virtual machine with one processor and no memory yet.
struct KvmGuest {
    UniqueFd device;
    UniqueFd machine;
    UniqueFd processor;
};

// `why` of the error says which step failed and how.
Result<KvmGuest> make_kvm_guest();

// How fast a guest's ring 0 runs.
struct Ring0Speed {
    uint64_t instructions = 0;
    double seconds = 0;  // of this thread's processor time
    double per_second() const { return seconds > 0 ? static_cast<double>(instructions) / seconds : 0; }
};

// Runs a counting loop in 64-bit mode, ring 0, for at most about half a second. Takes SIGALRM and the real-time
// interval timer of the process. x86-64 hosts only; elsewhere an error.
Result<Ring0Speed> measure_ring0();

}  // namespace doppel::host
