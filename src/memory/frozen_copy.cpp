#include "memory/frozen_copy.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <vector>

#include "memory/mapping.h"
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
        if (put == 0) errno = EIO;
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

// The parts of a sealed file that are no holes. Asked in ascending order it costs one pass over the file: the kernel
// walks every page up to the end of a part to find it.
class DataParts {
  public:
    explicit DataParts(int file) : file_(file) {}

    // Makes [start, end) the first part that ends after `offset`; past everything when there is none. False with errno
    // set.
    bool seek(uint64_t offset) {
        if (offset < end) return true;
        off_t data = ::lseek(file_, static_cast<off_t>(offset), SEEK_DATA);
        if (data < 0 && errno != ENXIO) return false;
        off_t hole = data < 0 ? -1 : ::lseek(file_, data, SEEK_HOLE);
        if (data >= 0 && hole < 0) return false;
        start = data < 0 ? UINT64_MAX : static_cast<uint64_t>(data);
        end = data < 0 ? UINT64_MAX : static_cast<uint64_t>(hole);
        return true;
    }

    uint64_t start = 0;
    uint64_t end = 0;

  private:
    int file_;
};

// Where the present content of a page stands.
enum class Source { kLive, kZero, kFrozen };

class Copier {
  public:
    Copier(const UniqueFd& pagemap, const Region& region, int to)
        : pagemap_(pagemap), region_(region), to_(to), data_(region.file.get()) {}

    // False with errno set.
    bool copy_chunk(uint64_t offset, uint64_t length) {
        std::vector<bool> own = private_pages(pagemap_, region_.host + offset, length / kPageSize);
        auto source_of = [&](uint64_t page) {
            if (own[page]) return Source::kLive;
            return region_.zeroed.contains(offset + page * kPageSize, kPageSize) ? Source::kZero : Source::kFrozen;
        };
        for (uint64_t page = 0; page < own.size();) {
            Source source = source_of(page);
            uint64_t end = page + 1;
            while (end < own.size() && source_of(end) == source) end++;
            if (!copy_pages(source, offset + page * kPageSize, (end - page) * kPageSize)) return false;
            page = end;
        }
        return true;
    }

  private:
    bool copy_pages(Source source, uint64_t offset, uint64_t length) {
        switch (source) {
            case Source::kLive:
                return write_non_zero_pages(to_, {region_.host + offset, length}, offset);
            case Source::kFrozen:
                return copy_frozen_pages(offset, length);
            case Source::kZero:
                return true;
        }
        return true;
    }

    // From the file: reading its holes through a mapping would fill them.
    bool copy_frozen_pages(uint64_t offset, uint64_t length) {
        uint64_t end = offset + length;
        while (offset < end) {
            if (!data_.seek(offset)) return false;
            uint64_t start = std::max(offset, data_.start);
            if (start >= end) return true;
            uint64_t stop = std::min(data_.end, end);
            buffer_.resize(stop - start);
            if (!read_range(region_.file.get(), buffer_, start)) return false;
            if (!write_non_zero_pages(to_, buffer_, start)) return false;
            offset = stop;
        }
        return true;
    }

    const UniqueFd& pagemap_;
    const Region& region_;
    int to_;
    DataParts data_;
    std::vector<uint8_t> buffer_;
};

}  // namespace

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
    Copier copier(pagemap, region, file.get());
    for (uint64_t offset = 0; offset < region.size; offset += kChunkSize) {
        uint64_t length = std::min(kChunkSize, region.size - offset);
        if (!copier.copy_chunk(offset, length)) {
            return fail(Error::system("copy guest memory", fmt::format("{:#x}", region.base + offset), errno));
        }
    }
    if (!seal(file)) return fail(Error::system("seal guest memory", fmt::format("{:#x}", region.base), errno));
    return file;
}

}  // namespace doppel::memory
