#include "memory/mapping.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>

#include "memory/huge_pages.h"

namespace doppel::memory {

Result<UniqueFd> create_memfd(uint64_t size) {
    UniqueFd file(::memfd_create("doppel-guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
        return fail(Error::system("create guest memory", fmt::format("{:#x} bytes", size), errno));
    }
    return file;
}

Result<UniqueFd> duplicate(const UniqueFd& file) {
    UniqueFd copy(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return fail(Error::system("share guest memory", "", errno));
    return copy;
}

bool seal(const UniqueFd& file) {
    return ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
}

bool is_sealed(const UniqueFd& file) {
    int seals = ::fcntl(file.get(), F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_WRITE) != 0;
}

namespace {

// Addresses that nothing else gets; nullptr: there are not as many.
uint8_t* reserve_aligned(uint64_t size) {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* reserved = ::mmap(nullptr, size + kHugePageSize, PROT_NONE, kFlags, -1, 0);
    if (reserved == MAP_FAILED) return nullptr;
    auto* begin = static_cast<uint8_t*>(reserved);
    const uint64_t before = -reinterpret_cast<uintptr_t>(begin) % kHugePageSize;
    if (before != 0) ::munmap(begin, before);
    ::munmap(begin + before + size, kHugePageSize - before);
    return begin + before;
}

}  // namespace

uint8_t* map_file(int file, uint64_t size, int sharing, uint8_t* address) {
    uint8_t* const place = address != nullptr || size < kHugePageSize ? address : reserve_aligned(size);
    int flags = sharing | MAP_NORESERVE | (place != nullptr ? MAP_FIXED : 0);
    void* mapped = ::mmap(place, size, PROT_READ | PROT_WRITE, flags, file, 0);
    if (mapped != MAP_FAILED) return static_cast<uint8_t*>(mapped);
    if (place != address) ::munmap(place, size);
    return nullptr;
}

bool map_zeroes(uint8_t* address, uint64_t length) {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    return ::mmap(address, length, PROT_READ | PROT_WRITE, kFlags, -1, 0) != MAP_FAILED;
}

}  // namespace doppel::memory
