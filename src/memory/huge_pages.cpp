#include "memory/huge_pages.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace doppel::memory {

namespace {

#ifdef MADV_COLLAPSE
constexpr int kCollapse = MADV_COLLAPSE;
#else
constexpr int kCollapse = 25;  // since Linux 6.1; what the host's policy for shared memory is does not count
#endif

// A kernel that refuses as many ranges before the first that it takes knows no such advice.
constexpr int kMostFailures = 8, kCollapses = -1;

}  // namespace

Result<HugePages> HugePages::create(uint8_t* host, uint64_t size) {
    HugePages made;
    made.host_ = host;
    if (reinterpret_cast<uintptr_t>(host) % kHugePageSize == 0) made.count_ = size / kHugePageSize;
    made.used_.reset(new (std::nothrow) std::atomic<uint16_t>[made.count_]());
    made.stopped_.reset(new (std::nothrow) std::atomic<bool>(false));
    made.failures_.reset(new (std::nothrow) std::atomic<int>(0));
    if (made.used_ && made.stopped_ && made.failures_) return made;
    return fail(
        Error{"add guest memory", fmt::format("{:#x} bytes", size), "the host has no memory for its counters", ""});
}

void HugePages::note_used(uint64_t offset, unsigned pages) const {
    constexpr unsigned kEnough = 64;
    const uint64_t number = offset / kHugePageSize;
    if (number >= count_ || stopped_->load(std::memory_order_relaxed)) return;
    const unsigned before = used_[number].load(std::memory_order_relaxed);
    if (before >= kEnough) return;
    const unsigned others = used_[number].fetch_add(static_cast<uint16_t>(pages), std::memory_order_relaxed);
    if (others >= kEnough || others + pages < kEnough) return;
    if (::madvise(host_ + number * kHugePageSize, kHugePageSize, kCollapse) == 0) {
        failures_->store(kCollapses, std::memory_order_relaxed);
        return;
    }
    // Goes on as it is, and is tried again when as many more are in use: the kernel refuses single ranges for reasons
    // that pass, and those by EINVAL too.
    used_[number].store(0, std::memory_order_relaxed);
    if (errno != EINVAL || failures_->load(std::memory_order_relaxed) == kCollapses) return;
    if (failures_->fetch_add(1, std::memory_order_relaxed) + 1 == kMostFailures) stop();
}

void HugePages::note_discarded(uint64_t offset, uint64_t length) const {
    const uint64_t end = std::min((offset + length) / kHugePageSize, count_);
    for (uint64_t number = (offset + kHugePageSize - 1) / kHugePageSize; number < end; number++)
        used_[number].store(0, std::memory_order_relaxed);
}

}  // namespace doppel::memory
