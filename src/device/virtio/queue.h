// The device's side of a split virtqueue (virtio 1.2, 2.7), with indirect descriptors and event index.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/saved_state.h"
#include "memory/guest_memory.h"

namespace doppel::device::virtio {

// A range of guest memory, inside one region.
struct Part {
    uint64_t address;
    uint32_t length;
};

// One buffer that the driver made available: validated as a whole, readable parts first, then writable ones. It belongs
// to its device until it is pushed back. After the queue was reset it is stale: reads and writes fail and a push does
// nothing. Used under the device's lock; may outlive the queue, but not guest memory.
class Chain {
  public:
    Chain(Chain&&) = default;
    Chain& operator=(Chain&&) = default;

    uint16_t head() const { return head_; }
    std::span<const Part> readable() const { return std::span(parts_).first(readable_parts_); }
    std::span<const Part> writable() const { return std::span(parts_).subspan(readable_parts_); }
    uint64_t readable_bytes() const { return readable_bytes_; }  // at most 4 GiB - 1, as all sizes of a chain
    uint64_t writable_bytes() const { return writable_bytes_; }
    bool stale() const { return !*live_; }

    // Copies across parts; `offset` counts from the first readable (writable) byte. False, and nothing copied, unless
    // all of it lies inside.
    [[nodiscard]] bool read(uint64_t offset, std::span<uint8_t> to) const;
    [[nodiscard]] bool write(uint64_t offset, std::span<const uint8_t> from);

    // The same bytes where they lie in the host's memory, for input and output without a copy: appended to `parts`. The
    // guest can change them at any moment; they stay there as long as guest memory. False, and nothing appended, unless
    // all of it lies inside.
    [[nodiscard]] bool find_readable(uint64_t offset, uint64_t length, std::vector<iovec>& parts) const;
    [[nodiscard]] bool find_writable(uint64_t offset, uint64_t length, std::vector<iovec>& parts);
    // What was found writable was written to, or may have been. Of a stale chain, too.
    void mark_written(uint64_t offset, uint64_t length);

  private:
    friend class Queue;
    Chain(memory::GuestMemory& memory, std::shared_ptr<const std::atomic<bool>> live, uint16_t head)
        : memory_(&memory), live_(std::move(live)), head_(head) {}

    memory::GuestMemory* memory_;
    std::shared_ptr<const std::atomic<bool>> live_;
    std::vector<Part> parts_;
    size_t readable_parts_ = 0;
    uint64_t readable_bytes_ = 0;
    uint64_t writable_bytes_ = 0;
    uint16_t head_;
};

// Guarded by the device's lock. Everything in the rings is the guest's and hostile: each field is fetched once, and
// what breaks the specification (loops, wild or wrongly ordered descriptors, nested tables, a head that is in use)
// makes the queue `broken`, after which it yields nothing until it is reset.
class Queue {
  public:
    static constexpr uint32_t kMaxIndirect = 1024;  // descriptors in an indirect table, unless the queue is longer

    struct Rings {
        uint16_t size = 0;         // descriptors: a power of two
        uint64_t descriptors = 0;  // guest physical addresses
        uint64_t available = 0;
        uint64_t used = 0;
    };

    // What survives a save.
    struct State {
        Rings rings;
        bool enabled = false;
        uint16_t next_available = 0;
        uint16_t next_used = 0;
        uint32_t unsignalled = 0;  // pushed since the driver was last considered for an interrupt
        bool broken = false;
        std::vector<uint16_t> in_flight;  // heads popped and not pushed
        template <class V>
        void fields(V& v) {
            v.field(1, rings.size);
            v.field(2, rings.descriptors);
            v.field(3, rings.available);
            v.field(4, rings.used);
            v.field(5, enabled);
            v.field(6, next_available);
            v.field(7, next_used);
            v.field(8, unsignalled);
            v.field(9, broken);
            v.field(10, in_flight);
        }
    };

    // `max_size` is a power of two up to 32768.
    Queue(memory::GuestMemory& memory, uint16_t max_size);

    // Set up by the transport. Rings can be changed while not enabled; a size that is no power of two or too large is
    // ignored.
    uint16_t max_size() const { return max_size_; }
    const Rings& rings() const { return state_.rings; }
    void set_rings(const Rings& rings);
    bool enabled() const { return state_.enabled; }
    void enable() { state_.enabled = true; }
    // With the negotiated features; before that, and while not enabled, a queue yields nothing. Misaligned rings, and
    // rings outside writable memory, leave it broken.
    void start(bool indirect, bool event_index);
    void reset();

    bool broken() const { return state_.broken; }
    // By the device: what the guest sent is beyond understanding.
    void mark_broken() { state_.broken = true; }

    // The next chain, or nullopt when there is none (or the queue just became broken). Chains that were out when the
    // state was saved come again after a restore.
    std::optional<Chain> pop();
    // Gives a chain back, with the number of bytes written to its writable parts.
    void push(Chain chain, uint64_t written);

    // True when the driver wants to hear of the chains pushed since the last call.
    bool take_notification();

    // Asks the driver not to notify, as a hint; and to notify again: then true means that chains came meanwhile and the
    // caller must look once more.
    void suppress_notifications();
    [[nodiscard]] bool resume_notifications();

    void save(StateWriter& writer) const;
    // All or nothing in two steps: `parse` checks, `adopt` cannot fail. `start` follows if the device is running.
    Result<State> parse(StateReader& reader) const;
    void adopt(const State& state);

  private:
    struct Descriptor {
        uint64_t address;
        uint32_t length;
        uint16_t flags;
        uint16_t next;
    };
    struct Table {
        uint64_t address;
        uint32_t count;
        bool indirect;
    };
    bool running() const { return started_ && state_.enabled && !state_.broken; }
    bool writable(uint64_t address, uint64_t length) const;
    std::optional<uint16_t> next_head();
    bool walk(Chain& chain) const;
    std::optional<Table> open_indirect(const Table& from, const Descriptor& descriptor) const;
    bool add_part(Chain& chain, const Descriptor& descriptor) const;
    std::optional<Descriptor> fetch(const Table& table, uint32_t index) const;
    uint64_t available_entry(uint16_t index) const;
    uint64_t used_entry(uint16_t index) const;

    memory::GuestMemory& memory_;
    const uint16_t max_size_;
    State state_;                  // in_flight is filled in by `save` alone
    std::vector<bool> busy_;       // by head: in flight
    std::vector<uint16_t> again_;  // heads to yield again after a restore, last one first
    bool indirect_ = false;
    bool event_index_ = false;
    bool started_ = false;
    std::shared_ptr<std::atomic<bool>> live_;
};

}  // namespace doppel::device::virtio
