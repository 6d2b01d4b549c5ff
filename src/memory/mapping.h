// The host system calls under guest memory: memfds and their mappings.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::memory {

// A sealable memfd of `size` bytes, all holes.
Result<UniqueFd> create_memfd(uint64_t size);

// A second descriptor of the same file.
Result<UniqueFd> duplicate(const UniqueFd& file);

// After this nobody can change content or size. Fails while a shared writable mapping exists.
bool seal(const UniqueFd& file);
bool is_sealed(const UniqueFd& file);

// Maps the whole file for reading and writing, without reserving swap. `sharing` is MAP_SHARED or MAP_PRIVATE. With an
// address, what is mapped there is replaced; without, it comes to lie at a multiple of the size of huge pages, if it is
// as large. nullptr with errno set on failure.
uint8_t* map_file(int file, uint64_t size, int sharing, uint8_t* address);

// Replaces a range by anonymous zeroes. False, with the range as before, on failure.
bool map_zeroes(uint8_t* address, uint64_t length);

}  // namespace doppel::memory
