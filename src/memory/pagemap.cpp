#include "memory/pagemap.h"

#include <fcntl.h>
#include <unistd.h>

namespace doppel::memory {

namespace {

constexpr uint64_t kPresent = uint64_t{1} << 63;
constexpr uint64_t kSwapped = uint64_t{1} << 62;
constexpr uint64_t kFileOrShared = uint64_t{1} << 61;

}  // namespace

UniqueFd open_pagemap() {
    return UniqueFd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
}

std::vector<bool> private_pages(const UniqueFd& pagemap, const uint8_t* address, size_t count) {
    constexpr uint64_t kHostPageSize = 4096;
    std::vector<uint64_t> entries(count);
    size_t wanted = count * sizeof(uint64_t);
    auto from = static_cast<off_t>(reinterpret_cast<uintptr_t>(address) / kHostPageSize * sizeof(uint64_t));
    if (!pagemap || ::pread(pagemap.get(), entries.data(), wanted, from) != static_cast<ssize_t>(wanted)) {
        return std::vector<bool>(count, true);
    }
    std::vector<bool> pages(count);
    for (size_t i = 0; i < count; i++) {
        pages[i] = (entries[i] & (kPresent | kSwapped)) != 0 && (entries[i] & kFileOrShared) == 0;
    }
    return pages;
}

}  // namespace doppel::memory
