// What is compared: a sequence of instructions and the state that it starts from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::differential {

// Register sp points into the scratch memory while a sequence runs; loads and stores stay in [sp - below, sp + above).
// It is a page boundary, so that accesses cross it.
inline constexpr int kScratchBelow = 256;
inline constexpr int kScratchAbove = 512;
inline constexpr size_t kScratchBytes = kScratchBelow + kScratchAbove;

inline constexpr size_t kMaxVectorBytes = 32 * 1024 / 8;  // all registers at the largest VLEN

// The state before or after a sequence. x[0] and x[2] are not used. Programs without vectors end before vl.
struct State {
    std::array<uint8_t, kScratchBytes> scratch{};
    std::array<uint64_t, 32> x{};
    std::array<uint64_t, 32> f{};
    uint64_t fcsr = 0;
    uint64_t vl = 0, vtype = 0, vstart = 0, vcsr = 0;  // vl as requested in inputs
    std::array<uint8_t, kMaxVectorBytes> v{};          // registers one behind the other

    bool operator==(const State&) const = default;
};
// It is copied to and from guest memory as it is.
static_assert(sizeof(State) == kScratchBytes + 69 * 8 + kMaxVectorBytes);

// Bytes of a State that programs for this VLEN use; 0: none.
constexpr size_t state_bytes(unsigned vector_bits) {
    return vector_bits == 0 ? kScratchBytes + 65 * 8 : kScratchBytes + 69 * 8 + size_t{32} * vector_bits / 8;
}

// Where a jump goes: to the end of its unit, over `skip` further ones.
struct Jump {
    enum class Base : uint8_t {
        kNone,         // no jump
        kInstruction,  // the immediate counts from the instruction
        kUnit,         // from the start of the unit, where an auipc stands
    };
    Base base = Base::kNone;
    uint8_t skip = 0;
    uint8_t bias = 0;  // added to the immediate: bit 0 of a jalr's sum is ignored
};

struct Instruction {
    uint32_t bits =
        0;  // 2 or 4 bytes by its lowest two bits; a jump's immediate is filled in when the sequence is laid out
    Jump jump;
};

// Instructions that only make sense together, such as an address and its use. Jumps never lead into the middle.
using Unit = std::vector<Instruction>;

struct Sequence {
    State input;
    std::vector<Unit> units;
};

}  // namespace doppel::differential
