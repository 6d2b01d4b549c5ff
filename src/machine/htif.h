// The host-target interface of bare-metal test programs: what they store to their symbol `tohost`.
// Source: riscv-isa-sim and riscv-tests, "tohost" conventions: device in bits 63:56, command in 55:48, payload below.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "memory/guest_memory.h"

namespace doppel::machine {

// Polled between runs of the harts, by one thread at a time.
class Htif {
  public:
    // Physical addresses of the symbols; without a `fromhost` acknowledgements are not stored.
    Htif(memory::GuestMemory& memory, uint64_t tohost, std::optional<uint64_t> fromhost,
         std::function<void(std::span<const uint8_t>)> console)
        : memory_(memory), tohost_(tohost), fromhost_(fromhost), console_(std::move(console)) {}

    // Serves one request: a character for the console (device 1, command 1), or the end of the program (device 0: 1 is
    // exit code 0, (n << 1) | 1 is exit code n). Others are acknowledged and ignored. Returns the exit code when the
    // program ended.
    std::optional<uint64_t> poll();

  private:
    memory::GuestMemory& memory_;
    uint64_t tohost_;
    std::optional<uint64_t> fromhost_;
    std::function<void(std::span<const uint8_t>)> console_;
};

}  // namespace doppel::machine
