#include "storage/disk/plain_guard.h"

#include <algorithm>
#include <array>
#include <vector>

#include "storage/qcow2/header.h"

namespace doppel::storage::disk {

Task<Status> PlainGuard::do_write(uint64_t offset, Buffers from) {
    constexpr uint64_t kLooked = 8;
    if (offset >= kLooked) co_return co_await below().write(offset, from);
    // The guest can change its memory meanwhile: what was looked at is what is written.
    std::vector<uint8_t> start(std::min<uint64_t>(from.size(), 512));
    from.slice(0, start.size()).copy_to(start.data());
    std::array<uint8_t, kLooked> beginning{};
    const uint64_t there = std::min<uint64_t>(kLooked, size());
    DOPPEL_STORAGE_CHECK(co_await below().read(0, Buffers(std::span(beginning).first(there))));
    std::copy_n(start.begin(), std::min<uint64_t>(start.size(), kLooked - offset),
                beginning.begin() + static_cast<std::ptrdiff_t>(offset));
    if (qcow2::is_qcow2(beginning)) co_return Status(EPERM);
    DOPPEL_STORAGE_CHECK(co_await below().write(offset, Buffers(std::span(start))));
    if (start.size() == from.size()) co_return kOk;
    co_return co_await below().write(offset + start.size(), from.from(start.size()));
}

}  // namespace doppel::storage::disk
