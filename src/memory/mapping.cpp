#include "memory/mapping.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "memory/pagemap.h"

namespace doppel::memory {

namespace {

constexpr uint64_t kChunkSize = uint64_t{512} * kPageSize;

bool is_zero(const uint8_t* page) {
    static constexpr std::array<uint8_t, kPageSize> kZeroes{};
    return std::memcmp(page, kZeroes.data(), kPageSize) == 0;
}

// The pread and pwrite of a whole range; false with errno set.
bool read_range(int file, std::span<uint8_t> to, uint64_t offset) {
    while (!to.empty()) {
        ssize_t got = ::pread(file, to.data(), to.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = EIO;
        if (got <= 0) return false;
        to = to.subspan(static_cast<size_t>(got));
        offset += static_cast<uint64_t>(got);
    }
    return true;
}

bool write_range(int file, std::span<const uint8_t> from, uint64_t offset) {
    while (!from.empty()) {
        ssize_t put = ::pwrite(file, from.data(), from.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        from = from.subspan(static_cast<size_t>(put));
        offset += static_cast<uint64_t>(put);
    }
    return true;
}

// Writes the pages that are not zero, in as few calls as they allow. `offset` is the file's.
bool write_non_zero_pages(int file, std::span<const uint8_t> pages, uint64_t offset) {
    for (size_t start = 0; start < pages.size();) {
        size_t end = start;
        while (end < pages.size() && !is_zero(&pages[end])) end += kPageSize;
        if (!write_range(file, pages.subspan(start, end - start), offset + start)) return false;
        start = end + (end < pages.size() ? kPageSize : 0);
    }
    return true;
}

// Copies the data of a sealed file from `offset` on, passing over its holes: reading a hole through a mapping would
// fill it.
bool copy_file_data(int from, int to, uint64_t offset, uint64_t length) {
    std::vector<uint8_t> buffer;
    uint64_t end = offset + length;
    while (offset < end) {
        off_t data = ::lseek(from, static_cast<off_t>(offset), SEEK_DATA);
        if (data < 0) return errno == ENXIO;
        if (static_cast<uint64_t>(data) >= end) return true;
        off_t hole = ::lseek(from, data, SEEK_HOLE);
        if (hole < 0) return false;
        uint64_t stop = std::min(static_cast<uint64_t>(hole), end);
        buffer.resize(stop - static_cast<uint64_t>(data));
        if (!read_range(from, buffer, static_cast<uint64_t>(data))) return false;
        if (!write_non_zero_pages(to, buffer, static_cast<uint64_t>(data))) return false;
        offset = stop;
    }
    return true;
}

// Where the present content of a page stands.
enum class Source { kLive, kZero, kFrozen };

bool copy_chunk(const UniqueFd& pagemap, const Region& region, int to, uint64_t offset, uint64_t length) {
    std::vector<bool> own = private_pages(pagemap, region.host + offset, length / kPageSize);
    auto source_of = [&](uint64_t page) {
        if (own[page]) return Source::kLive;
        return region.zeroed.contains(offset + page * kPageSize, kPageSize) ? Source::kZero : Source::kFrozen;
    };
    for (uint64_t page = 0; page < own.size();) {
        Source source = source_of(page);
        uint64_t end = page + 1;
        while (end < own.size() && source_of(end) == source) end++;
        uint64_t at = offset + page * kPageSize;
        uint64_t size = (end - page) * kPageSize;
        if (source == Source::kLive && !write_non_zero_pages(to, {region.host + at, size}, at)) return false;
        if (source == Source::kFrozen && !copy_file_data(region.file.get(), to, at, size)) return false;
        page = end;
    }
    return true;
}

}  // namespace

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

uint8_t* map_file(int file, uint64_t size, int sharing, uint8_t* address) {
    int flags = sharing | MAP_NORESERVE | (address != nullptr ? MAP_FIXED : 0);
    void* mapped = ::mmap(address, size, PROT_READ | PROT_WRITE, flags, file, 0);
    return mapped == MAP_FAILED ? nullptr : static_cast<uint8_t*>(mapped);
}

bool map_zeroes(uint8_t* address, uint64_t length) {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    return ::mmap(address, length, PROT_READ | PROT_WRITE, kFlags, -1, 0) != MAP_FAILED;
}

uint64_t count_private_bytes(const UniqueFd& pagemap, const Region& region) {
    uint64_t pages = 0;
    for (uint64_t offset = 0; offset < region.size; offset += kChunkSize) {
        uint64_t length = std::min(kChunkSize, region.size - offset);
        std::vector<bool> own = private_pages(pagemap, region.host + offset, length / kPageSize);
        pages += static_cast<uint64_t>(std::count(own.begin(), own.end(), true));
    }
    return pages * kPageSize;
}

Result<UniqueFd> copy_frozen(const UniqueFd& pagemap, const Region& region) {
    DOPPEL_TRY(UniqueFd file, create_memfd(region.size));
    for (uint64_t offset = 0; offset < region.size; offset += kChunkSize) {
        uint64_t length = std::min(kChunkSize, region.size - offset);
        if (!copy_chunk(pagemap, region, file.get(), offset, length)) {
            return fail(Error::system("copy guest memory", fmt::format("{:#x}", region.base + offset), errno));
        }
    }
    if (!seal(file)) return fail(Error::system("seal guest memory", fmt::format("{:#x}", region.base), errno));
    return file;
}

}  // namespace doppel::memory
