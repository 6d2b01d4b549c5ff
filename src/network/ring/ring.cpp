#include "network/ring/ring.h"

#include <cstring>

#include "network/link/message.h"

namespace doppel::network::ring {

namespace {

constexpr size_t aligned(size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Another process writes it: read as it is, once.
uint32_t fetch(const uint8_t* at) {
    return std::atomic_ref<const uint32_t>(*reinterpret_cast<const uint32_t*>(at)).load(std::memory_order_relaxed);
}

void store(uint8_t* at, uint32_t value) {
    std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(at)).store(value, std::memory_order_relaxed);
}

}  // namespace

size_t Writer::room() {
    read_ = positions_->read.load(std::memory_order_acquire);
    const uint64_t used = written_ - read_;
    if (used > data_.size()) damaged_ = true;
    return damaged_ ? 0 : data_.size() - used;
}

bool Writer::put(const Frame& frame) {
    const size_t length = link::kHeaderBytes + frame.bytes.size();
    const size_t needed = aligned(kEntryHead + length);
    size_t at = written_ & (data_.size() - 1);
    const size_t to_end = data_.size() - at;
    const size_t skipped = needed > to_end ? to_end : 0;
    if (data_.size() - (written_ - read_) < needed + skipped && room() < needed + skipped) return false;
    if (skipped != 0) {
        store(&data_[at], kSkip);
        written_ += skipped;
        at = 0;
    }
    const link::Header header = link::header_of(frame.offload);
    store(&data_[at], static_cast<uint32_t>(length));
    std::memcpy(&data_[at + kEntryHead], header.data(), header.size());
    std::memcpy(&data_[at + kEntryHead + header.size()], frame.bytes.data(), frame.bytes.size());
    written_ += needed;
    return true;
}

// Each side stores, then looks at what the other one stored: of the two at least one sees the other's.
bool Writer::publish() {
    positions_->written.store(written_, std::memory_order_seq_cst);
    return positions_->reader_sleeps.load(std::memory_order_seq_cst) != 0 &&
           positions_->reader_sleeps.exchange(0, std::memory_order_seq_cst) != 0;
}

bool Writer::wait_for_room() {
    const uint64_t before = read_;
    positions_->writer_waits.store(1, std::memory_order_seq_cst);
    if (positions_->read.load(std::memory_order_seq_cst) == before) return true;
    positions_->writer_waits.store(0, std::memory_order_relaxed);
    return false;
}

std::optional<std::span<const uint8_t>> Reader::next() {
    if (damaged_) return std::nullopt;
    const uint64_t available = positions_->written.load(std::memory_order_acquire) - read_;
    if (available == 0) return std::nullopt;
    if (available > data_.size() || available % kAlignment != 0) return refuse();
    size_t at = read_ & (data_.size() - 1);
    uint64_t left = available;
    uint32_t length = fetch(&data_[at]);
    if (length == kSkip) {
        const size_t skipped = data_.size() - at;
        if (at == 0 || skipped >= left) return refuse();
        read_ += skipped;
        left -= skipped;
        at = 0;
        length = fetch(&data_[0]);
    }
    if (length < link::kHeaderBytes + kMinFrame || length > link::kMaxMessage) return refuse();
    const size_t taken = aligned(kEntryHead + length);
    if (taken > left || taken > data_.size() - at) return refuse();
    read_ += taken;
    return data_.subspan(at + kEntryHead, length);
}

bool Reader::release() {
    positions_->read.store(read_, std::memory_order_seq_cst);
    return positions_->writer_waits.load(std::memory_order_seq_cst) != 0 &&
           positions_->writer_waits.exchange(0, std::memory_order_seq_cst) != 0;
}

bool Reader::sleep() {
    positions_->reader_sleeps.store(1, std::memory_order_seq_cst);
    if (positions_->written.load(std::memory_order_seq_cst) == read_) return true;
    positions_->reader_sleeps.store(0, std::memory_order_relaxed);
    return false;
}

uint32_t pack(const Offloads& o) {
    return uint32_t{o.checksum} | uint32_t{o.tcp4} << 1 | uint32_t{o.tcp6} << 2 | uint32_t{o.ecn} << 3 |
           uint32_t{o.udp} << 4 | uint32_t{o.udp_fragments} << 5;
}

Offloads unpack(uint32_t bits) {
    const auto has = [bits](unsigned number) { return (bits >> number & 1) != 0; };
    return {.checksum = has(0), .tcp4 = has(1), .tcp6 = has(2), .ecn = has(3), .udp = has(4), .udp_fragments = has(5)};
}

}  // namespace doppel::network::ring
