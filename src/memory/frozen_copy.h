// What a frozen region holds now: its frozen file and the pages copied on write over it.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"
#include "memory/guest_memory.h"

namespace doppel::memory {

// Bytes of a frozen region that the process has to itself.
uint64_t count_private_bytes(const UniqueFd& pagemap, const Region& region);

// A sealed memfd with the present content of a frozen region; its zero pages are holes.
Result<UniqueFd> copy_frozen(const UniqueFd& pagemap, const Region& region);

}  // namespace doppel::memory
