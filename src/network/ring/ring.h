// The two ends of a ring of frames (memory.h): one writer, one reader, in two processes that do not trust each other.
// An entry is its length (32 bits), 4 bytes of nothing and a message of network/link/message.h, one behind the other in
// memory; where one would wrap around, kSkip says that the next is at the ring's beginning.
//
// What the other side may change is fetched once and checked before it is used; each side keeps its own position.
#pragma once

#include <optional>
#include <span>

#include "network/port.h"
#include "network/ring/memory.h"

namespace doppel::network::ring {

inline constexpr uint32_t kSkip = 0xffff'ffff;
inline constexpr size_t kEntryHead = 8, kAlignment = 8;

class Writer {
  public:
    Writer(Positions& positions, std::span<uint8_t> data) : positions_(&positions), data_(data) {}

    // False: there is no room, or there never will be (`damaged`). The frame is as Port::send takes it.
    bool put(const Frame& frame);
    // Lets the reader see what was put; true when it sleeps and must be woken.
    [[nodiscard]] bool publish();
    // After `put` failed: the reader will wake this side when it made room. False: there is some already.
    [[nodiscard]] bool wait_for_room();
    bool damaged() const { return damaged_; }

  private:
    // Bytes that are free; 0 when the reader lies.
    size_t room();

    Positions* positions_;
    std::span<uint8_t> data_;
    uint64_t written_ = 0;
    uint64_t read_ = 0;  // as last seen
    bool damaged_ = false;
};

class Reader {
  public:
    Reader(Positions& positions, std::span<uint8_t> data) : positions_(&positions), data_(data) {}

    // The next message, in shared memory: its content may change until it is copied. Valid until `release`. nullopt:
    // there is none now, or there never will be (`damaged`).
    std::optional<std::span<const uint8_t>> next();
    // Gives back the room of all that `next` returned; true when the writer waits for it and must be woken.
    [[nodiscard]] bool release();
    // The writer will wake this side. False: there is something already.
    [[nodiscard]] bool sleep();
    bool damaged() const { return damaged_; }
    bool empty() const { return positions_->written.load(std::memory_order_acquire) == read_; }

  private:
    std::nullopt_t refuse() {
        damaged_ = true;
        return std::nullopt;
    }

    Positions* positions_;
    std::span<uint8_t> data_;
    uint64_t read_ = 0;
    bool damaged_ = false;
};

// Offloads as one number, for Shared::receives; bits that mean nothing are ignored.
uint32_t pack(const Offloads& offloads);
Offloads unpack(uint32_t bits);

}  // namespace doppel::network::ring
