#include "device/virtio/balloon/device.h"

#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/byte_order.h"

namespace doppel::device::virtio::balloon {

namespace {

constexpr uint32_t kClassOther = 0xff0000;
constexpr uint64_t kUnit = uint64_t{1} << VIRTIO_BALLOON_PFN_SHIFT;
static_assert(kUnit == memory::kPageSize);

enum QueueIndex : unsigned { kInflate = 0, kDeflate = 1, kStatistics = 2 };

// 5.5.6.3: a tag of 16 bits and a value of 64, packed.
constexpr size_t kStatisticBytes = 10;

constexpr uint64_t bit(unsigned number) {
    return uint64_t{1} << number;
}

}  // namespace

uint16_t BalloonDevice::id() const {
    return VIRTIO_ID_BALLOON;
}

uint32_t BalloonDevice::pci_class() const {
    return kClassOther;
}

uint64_t BalloonDevice::features() const {
    return bit(VIRTIO_BALLOON_F_STATS_VQ) | bit(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | bit(VIRTIO_BALLOON_F_PAGE_POISON) |
           bit(VIRTIO_BALLOON_F_REPORTING);
}

uint32_t BalloonDevice::config_size() const {
    return sizeof(virtio_balloon_config);
}

void BalloonDevice::read_config(uint32_t offset, std::span<uint8_t> to) {
    std::array<uint8_t, sizeof(virtio_balloon_config)> image{};
    store_le(&image[offsetof(virtio_balloon_config, num_pages)], state_.target);
    store_le(&image[offsetof(virtio_balloon_config, actual)], state_.actual);
    store_le(&image[offsetof(virtio_balloon_config, poison_val)], state_.poison);
    std::memcpy(to.data(), &image[offset], to.size());
}

void BalloonDevice::write_config(uint32_t offset, std::span<const uint8_t> from) {
    if (from.size() != sizeof(uint32_t)) return;
    if (offset == offsetof(virtio_balloon_config, actual)) state_.actual = load_le<uint32_t>(from.data());
    if (offset == offsetof(virtio_balloon_config, poison_val)) state_.poison = load_le<uint32_t>(from.data());
}

void BalloonDevice::set_target(uint64_t bytes) {
    std::lock_guard guard(transport().device_lock());
    state_.target = static_cast<uint32_t>(std::min<uint64_t>(bytes / kUnit, UINT32_MAX));
    transport().config_changed();
}

uint64_t BalloonDevice::target() const {
    std::lock_guard guard(transport().device_lock());
    return state_.target * kUnit;
}

uint64_t BalloonDevice::actual() const {
    std::lock_guard guard(transport().device_lock());
    return state_.actual * kUnit;
}

void BalloonDevice::request_statistics(std::function<void(const Statistics&)> told) {
    std::lock_guard guard(transport().device_lock());
    told_ = std::move(told);
    if (!statistics_buffer_) return;  // the guest is at it, or has yet to begin
    transport().queue(kStatistics).push(std::move(*std::exchange(statistics_buffer_, std::nullopt)), 0);
    transport().complete(kStatistics);
}

// Queues that the driver has not negotiated do not exist (5.5.2). Some number those behind them without the gap (Linux,
// virtio_balloon.c), so every one behind the statistics takes reports; without statistics theirs does too.
void BalloonDevice::notify(unsigned queue) {
    if (queue == kInflate) {
        transport().drain(queue, [this](Chain& chain) { return inflate(chain), 0; });
    } else if (queue == kDeflate) {
        transport().drain(queue, [](Chain&) { return 0; });  // the host's memory comes back by itself
    } else if (queue == kStatistics && negotiated(VIRTIO_BALLOON_F_STATS_VQ)) {
        take_statistics();
    } else if (negotiated(VIRTIO_BALLOON_F_REPORTING)) {
        transport().drain(queue, [this](Chain& chain) { return report(chain), 0; });
    }
}

// An array of page numbers. Those that are neighbours go together; what is not all RAM is nothing to give back.
void BalloonDevice::inflate(const Chain& chain) {
    std::vector<uint8_t> raw(std::min<uint64_t>(chain.readable_bytes() / sizeof(uint32_t), kMaxPages) *
                             sizeof(uint32_t));
    if (!chain.read(0, raw)) return;
    std::vector<uint32_t> pages(raw.size() / sizeof(uint32_t));
    for (size_t i = 0; i < pages.size(); i++) pages[i] = load_le<uint32_t>(&raw[i * sizeof(uint32_t)]);
    std::ranges::sort(pages);
    for (size_t i = 0; i < pages.size();) {
        size_t end = i + 1;
        while (end < pages.size() && pages[end] - pages[end - 1] <= 1) end++;
        (void)memory_.discard(pages[i] * kUnit, (uint64_t{pages[end - 1]} - pages[i] + 1) * kUnit);
        i = end;
    }
}

// 5.5.6.7: the parts are the free memory itself. What the guest wants to find filled with anything but zeroes stays.
void BalloonDevice::report(const Chain& chain) {
    if (negotiated(VIRTIO_BALLOON_F_PAGE_POISON) && state_.poison != 0) return;
    for (const Part& part : chain.writable()) {
        const uint64_t begin = (part.address + kUnit - 1) / kUnit * kUnit;
        const uint64_t end = (part.address + part.length) / kUnit * kUnit;
        if (begin < end) (void)memory_.discard(begin, end - begin);
    }
}

// 5.5.6.3: the driver's one buffer stays here until new statistics are wanted. One that offers more gets all but the
// newest back.
void BalloonDevice::take_statistics() {
    Queue& queue = transport().queue(kStatistics);
    for (unsigned i = 0; i < kQueueSize; i++) {
        std::optional<Chain> chain = transport().next(kStatistics);
        if (!chain) break;
        if (statistics_buffer_) queue.push(std::move(*statistics_buffer_), 0);
        statistics_buffer_.emplace(std::move(*chain));
        if (!told_) continue;
        transport().loop().post(
            [told = std::exchange(told_, nullptr), statistics = read(*statistics_buffer_)] { told(statistics); });
    }
    transport().complete(kStatistics);
}

Statistics BalloonDevice::read(const Chain& chain) {
    Statistics statistics;
    std::array<uint8_t, kStatisticBytes> one;
    constexpr size_t kMost = 4 * Statistics::kCount;  // later drivers may know more
    for (size_t i = 0; i < kMost && chain.read(i * kStatisticBytes, one); i++) {
        const auto tag = load_le<uint16_t>(one.data());
        if (tag < Statistics::kCount) statistics.values[tag] = load_le<uint64_t>(&one[sizeof tag]);
    }
    return statistics;
}

// The target is the host's and stays.
void BalloonDevice::reset() {
    state_.actual = 0;
    state_.poison = 0;
    negotiated_ = 0;
    statistics_buffer_.reset();
}

void BalloonDevice::save(StateWriter& writer) const {
    State(state_).fields(writer);
}

Result<> BalloonDevice::restore(StateReader& reader) {
    State state;
    state.fields(reader);
    DOPPEL_CHECK(reader.finish(name()));
    state_ = state;
    negotiated_ = 0;
    statistics_buffer_.reset();
    return {};
}

}  // namespace doppel::device::virtio::balloon
