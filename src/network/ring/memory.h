// The memory that a switch and a member share: a ring of frames each way.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::network::ring {

// Of one ring. Numbers of bytes since its beginning; each is written by one side only, and the other believes nothing.
struct Positions {
    alignas(64) std::atomic<uint64_t> written;
    alignas(64) std::atomic<uint64_t> read;
    alignas(64) std::atomic<uint32_t> reader_sleeps;  // it wants to hear of frames
    alignas(64) std::atomic<uint32_t> writer_waits;   // it wants to hear of room
};

struct Shared {
    Positions to_switch, to_member;
    alignas(64) std::atomic<uint32_t> receives;  // what frames the member takes as they are: pack()
};

// A sealed memfd: nobody can make it shorter below the other one's feet.
class Memory {
  public:
    static constexpr size_t kToSwitchBytes = 1 << 20, kToMemberBytes = 2 << 20;  // powers of 2

    static Result<Memory> create();
    // Of the other process; refuses what is not as `create` makes it.
    static Result<Memory> open(UniqueFd file);
    Memory(Memory&& other) noexcept;
    Memory& operator=(Memory&&) = delete;
    ~Memory();

    int descriptor() const { return file_.get(); }
    Shared& shared() const { return *reinterpret_cast<Shared*>(base_); }
    std::span<uint8_t> to_switch() const { return {base_ + kHead, kToSwitchBytes}; }
    std::span<uint8_t> to_member() const { return {base_ + kHead + kToSwitchBytes, kToMemberBytes}; }

  private:
    static constexpr size_t kHead = 4096, kBytes = kHead + kToSwitchBytes + kToMemberBytes;
    static_assert(sizeof(Shared) <= kHead && std::atomic<uint64_t>::is_always_lock_free);
    Memory(UniqueFd file, uint8_t* base) : file_(std::move(file)), base_(base) {}
    static Result<Memory> map(UniqueFd file);

    UniqueFd file_;
    uint8_t* base_;
};

}  // namespace doppel::network::ring
