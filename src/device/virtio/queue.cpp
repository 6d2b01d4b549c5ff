#include "device/virtio/queue.h"

#define VIRTIO_RING_NO_LEGACY  // those parts are C only
#include <linux/virtio_ring.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace doppel::device::virtio {

namespace {

constexpr uint64_t kDescriptorSize = 16;
constexpr uint64_t kUsedElementSize = 8;
constexpr uint64_t kRingHeader = 4;  // flags and idx, in front of both rings
constexpr uint64_t kIndex = 2;       // offset of idx
constexpr uint64_t kEvent = 2;       // bytes of used_event and avail_event, behind the rings

// Calls f(address, bytes) for each piece of `length` bytes from `offset` on, until it returns false.
template <class F>
bool for_each_piece(std::span<const Part> parts, uint64_t offset, uint64_t length, F f) {
    for (const Part& part : parts) {
        if (length == 0) break;
        if (offset >= part.length) {
            offset -= part.length;
            continue;
        }
        const uint64_t piece = std::min<uint64_t>(part.length - offset, length);
        if (!f(part.address + offset, piece)) return false;
        length -= piece;
        offset = 0;
    }
    return length == 0;
}

bool find_in_host(const memory::GuestMemory& memory, uint64_t address, uint64_t bytes, std::vector<iovec>& parts) {
    const memory::Region* region = memory.find(address, bytes);
    if (region == nullptr) return false;
    parts.push_back({region->host + (address - region->base), bytes});
    return true;
}

constexpr bool fits(uint64_t offset, uint64_t length, uint64_t total) {
    return offset <= total && length <= total - offset;
}

}  // namespace

bool Chain::read(uint64_t offset, std::span<uint8_t> to) const {
    if (stale() || !fits(offset, to.size(), readable_bytes_)) return false;
    return for_each_piece(readable(), offset, to.size(), [&](uint64_t address, uint64_t bytes) {
        const bool done = memory_->read(address, to.first(bytes));
        to = to.subspan(bytes);
        return done;
    });
}

bool Chain::write(uint64_t offset, std::span<const uint8_t> from) {
    if (stale() || !fits(offset, from.size(), writable_bytes_)) return false;
    return for_each_piece(writable(), offset, from.size(), [&](uint64_t address, uint64_t bytes) {
        const bool done = memory_->write(address, from.first(bytes));
        from = from.subspan(bytes);
        return done;
    });
}

bool Chain::find_readable(uint64_t offset, uint64_t length, std::vector<iovec>& parts) const {
    if (stale() || !fits(offset, length, readable_bytes_)) return false;
    // Each part lay inside a region when the chain was validated, and regions stay.
    return for_each_piece(readable(), offset, length, [&](uint64_t address, uint64_t bytes) {
        return find_in_host(*memory_, address, bytes, parts);
    });
}

bool Chain::find_writable(uint64_t offset, uint64_t length, std::vector<iovec>& parts) {
    if (stale() || !fits(offset, length, writable_bytes_)) return false;
    return for_each_piece(writable(), offset, length, [&](uint64_t address, uint64_t bytes) {
        return find_in_host(*memory_, address, bytes, parts);
    });
}

void Chain::mark_written(uint64_t offset, uint64_t length) {
    if (!fits(offset, length, writable_bytes_)) return;
    for_each_piece(writable(), offset, length, [&](uint64_t address, uint64_t bytes) {
        const memory::Region* region = memory_->find(address, bytes);
        if (region != nullptr) memory::GuestMemory::mark_dirty(*region, address, bytes);
        return true;
    });
}

Queue::Queue(memory::GuestMemory& memory, uint16_t max_size) : memory_(memory), max_size_(max_size) {
    reset();
}

void Queue::reset() {
    if (live_) *live_ = false;
    live_ = std::make_shared<std::atomic<bool>>(true);
    state_ = State{};
    state_.rings.size = max_size_;
    busy_.assign(max_size_, false);
    again_.clear();
    started_ = false;
}

void Queue::set_rings(const Rings& rings) {
    if (state_.enabled || !std::has_single_bit(rings.size) || rings.size > max_size_) return;
    state_.rings = rings;
}

bool Queue::writable(uint64_t address, uint64_t length) const {
    const memory::Region* region = memory_.find(address, length);
    return region != nullptr && region->writable;
}

void Queue::start(bool indirect, bool event_index) {
    indirect_ = indirect;
    event_index_ = event_index;
    started_ = true;
    if (!state_.enabled) return;
    const Rings& rings = state_.rings;
    bool aligned = rings.descriptors % VRING_DESC_ALIGN_SIZE == 0 && rings.available % VRING_AVAIL_ALIGN_SIZE == 0 &&
                   rings.used % VRING_USED_ALIGN_SIZE == 0;
    bool present = memory_.find(rings.descriptors, kDescriptorSize * rings.size) != nullptr &&
                   memory_.find(rings.available, kRingHeader + uint64_t{2} * rings.size + kEvent) != nullptr &&
                   writable(rings.used, kRingHeader + kUsedElementSize * rings.size + kEvent);
    if (!aligned || !present) state_.broken = true;
}

uint64_t Queue::available_entry(uint16_t index) const {
    return state_.rings.available + kRingHeader + uint64_t{2} * (index % state_.rings.size);
}

uint64_t Queue::used_entry(uint16_t index) const {
    return state_.rings.used + kRingHeader + kUsedElementSize * (index % state_.rings.size);
}

std::optional<uint16_t> Queue::next_head() {
    auto index = memory_.load<uint16_t>(state_.rings.available + kIndex);
    if (!index) {
        state_.broken = true;
        return std::nullopt;
    }
    uint16_t waiting = *index - state_.next_available;
    if (waiting == 0) return std::nullopt;
    // The ring entry and the descriptors were written before idx (2.7.13.3).
    std::atomic_thread_fence(std::memory_order_acquire);
    auto head = memory_.load<uint16_t>(available_entry(state_.next_available));
    if (waiting > state_.rings.size || !head || *head >= state_.rings.size || busy_[*head]) {
        state_.broken = true;
        return std::nullopt;
    }
    state_.next_available++;
    return head;
}

std::optional<Chain> Queue::pop() {
    if (!running()) return std::nullopt;
    std::optional<uint16_t> head;
    if (!again_.empty()) {
        head = again_.back();
        again_.pop_back();
    } else {
        head = next_head();
    }
    if (!head) return std::nullopt;
    Chain chain(memory_, live_, *head);
    if (!walk(chain)) {
        state_.broken = true;
        return std::nullopt;
    }
    busy_[*head] = true;
    return chain;
}

std::optional<Queue::Descriptor> Queue::fetch(const Table& table, uint32_t index) const {
    uint64_t at = table.address + index * kDescriptorSize;
    auto address = memory_.load<uint64_t>(at);
    auto rest = memory_.load<uint64_t>(at + 8);
    if (!address || !rest) return std::nullopt;
    return Descriptor{*address, static_cast<uint32_t>(*rest), static_cast<uint16_t>(*rest >> 32),
                      static_cast<uint16_t>(*rest >> 48)};
}

bool Queue::walk(Chain& chain) const {
    Table table{state_.rings.descriptors, state_.rings.size, false};
    uint32_t index = chain.head_;
    uint32_t left = table.count;  // a chain longer than its table is a loop
    while (true) {
        if (index >= table.count || left == 0) return false;
        left--;
        std::optional<Descriptor> descriptor = fetch(table, index);
        if (!descriptor) return false;
        if ((descriptor->flags & VRING_DESC_F_INDIRECT) != 0) {
            std::optional<Table> inner = open_indirect(table, *descriptor);
            if (!inner) return false;
            table = *inner;
            index = 0;
            left = table.count;
            continue;
        }
        if (!add_part(chain, *descriptor)) return false;
        if ((descriptor->flags & VRING_DESC_F_NEXT) == 0) return true;
        index = descriptor->next;
    }
}

// 2.7.5.3: negotiated, last of its chain, not inside another table. F_WRITE on it means nothing.
std::optional<Queue::Table> Queue::open_indirect(const Table& from, const Descriptor& descriptor) const {
    if (!indirect_ || from.indirect || (descriptor.flags & VRING_DESC_F_NEXT) != 0) return std::nullopt;
    uint32_t count = descriptor.length / kDescriptorSize;
    if (count == 0 || descriptor.length % kDescriptorSize != 0) return std::nullopt;
    if (count > std::max<uint32_t>(kMaxIndirect, state_.rings.size)) return std::nullopt;
    if (memory_.find(descriptor.address, descriptor.length) == nullptr) return std::nullopt;
    return Table{descriptor.address, count, true};
}

bool Queue::add_part(Chain& chain, const Descriptor& descriptor) const {
    bool for_device = (descriptor.flags & VRING_DESC_F_WRITE) == 0;
    // 2.7.4.2: the readable ones come first.
    if (for_device && chain.readable_parts_ != chain.parts_.size()) return false;
    if (descriptor.length == 0) return true;
    uint64_t& bytes = for_device ? chain.readable_bytes_ : chain.writable_bytes_;
    if (chain.readable_bytes_ + chain.writable_bytes_ + descriptor.length > std::numeric_limits<uint32_t>::max()) {
        return false;
    }
    bool present = for_device ? memory_.find(descriptor.address, descriptor.length) != nullptr
                              : writable(descriptor.address, descriptor.length);
    if (!present) return false;
    chain.parts_.push_back({descriptor.address, descriptor.length});
    if (for_device) chain.readable_parts_++;
    bytes += descriptor.length;
    return true;
}

void Queue::push(Chain chain, uint64_t written) {
    if (chain.live_ != live_ || !running() || !busy_[chain.head_]) return;
    busy_[chain.head_] = false;
    uint64_t entry = used_entry(state_.next_used);
    uint16_t index = state_.next_used + 1;
    auto length = static_cast<uint32_t>(std::min(written, chain.writable_bytes_));
    bool stored = memory_.store<uint32_t>(entry, chain.head_) && memory_.store<uint32_t>(entry + 4, length);
    // The element, and the data in the buffers, before idx (2.7.8.2).
    std::atomic_thread_fence(std::memory_order_release);
    if (!stored || !memory_.store<uint16_t>(state_.rings.used + kIndex, index)) {
        state_.broken = true;
        return;
    }
    state_.next_used = index;
    if (state_.unsignalled <= 0xffff) state_.unsignalled++;
}

bool Queue::take_notification() {
    if (!running() || state_.unsignalled == 0) return false;
    uint32_t pushed = state_.unsignalled;
    state_.unsignalled = 0;
    // The driver writes used_event (flags) and then looks at idx; we do the reverse (2.7.7.2).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!event_index_) {
        auto flags = memory_.load<uint16_t>(state_.rings.available);
        return flags && (*flags & VRING_AVAIL_F_NO_INTERRUPT) == 0;
    }
    auto event = memory_.load<uint16_t>(state_.rings.available + kRingHeader + uint64_t{2} * state_.rings.size);
    if (!event) return false;
    return static_cast<uint16_t>(state_.next_used - *event - 1) < pushed;
}

void Queue::suppress_notifications() {
    if (!running() || event_index_) return;  // with event index an avail_event left behind does it
    if (!memory_.store<uint16_t>(state_.rings.used, VRING_USED_F_NO_NOTIFY)) state_.broken = true;
}

bool Queue::resume_notifications() {
    if (!running()) return false;
    uint64_t event = state_.rings.used + kRingHeader + kUsedElementSize * state_.rings.size;
    bool stored = event_index_ ? memory_.store<uint16_t>(event, state_.next_available)
                               : memory_.store<uint16_t>(state_.rings.used, 0);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    auto index = memory_.load<uint16_t>(state_.rings.available + kIndex);
    if (!stored || !index) {
        state_.broken = true;
        return false;
    }
    return *index != state_.next_available;
}

void Queue::save(StateWriter& writer) const {
    State state = state_;
    for (uint32_t head = 0; head < busy_.size(); head++) {
        if (busy_[head]) state.in_flight.push_back(static_cast<uint16_t>(head));
    }
    state.fields(writer);
}

Result<Queue::State> Queue::parse(StateReader& reader) const {
    State state;
    state.rings.size = max_size_;
    state.fields(reader);
    DOPPEL_CHECK(reader.finish("restore virtqueue"));
    const uint16_t size = state.rings.size;
    bool good = std::has_single_bit(size) && size <= max_size_ && state.unsignalled <= 0x10000;
    std::vector<bool> seen(max_size_, false);
    for (uint16_t head : state.in_flight) {
        good = good && head < size && !seen[head];
        if (good) seen[head] = true;
    }
    if (!good) return fail(Error{"restore virtqueue", "", "its state is not one that a queue can have", ""});
    return state;
}

void Queue::adopt(const State& state) {
    reset();
    state_ = state;
    state_.in_flight.clear();
    again_.assign(state.in_flight.rbegin(), state.in_flight.rend());
    for (uint16_t head : again_) busy_[head] = true;
}

}  // namespace doppel::device::virtio
