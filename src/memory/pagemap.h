// Which pages of a private mapping are the process's own: /proc/self/pagemap
// (Documentation/admin-guide/mm/pagemap.rst in the Linux sources).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/unique_fd.h"

namespace doppel::memory {

// Empty when /proc is not there.
UniqueFd open_pagemap();

// For each of the `count` pages from `address` on, whether the page is anonymous (copied on write, or of an anonymous
// mapping), in memory or swapped out. Where `pagemap` cannot tell, every page counts as such.
std::vector<bool> private_pages(const UniqueFd& pagemap, const uint8_t* address, size_t count);

}  // namespace doppel::memory
