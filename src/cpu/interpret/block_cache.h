// Decoded blocks: straight runs of instructions in the form that the dispatch loop executes.
//
// Blocks are found by physical address. They are never invalidated by stores: RISC-V asks for fence.i before modified
// code is fetched, and after a fence.i a block is compared with memory before its next use (`verified` is the fence's
// number).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "isa/riscv/decode.h"
#include "isa/riscv/hart.h"

namespace doppel::cpu::interpret {

class Runner;
struct Op;

// Executes one instruction and then the following ones; returns where to go on, nullptr to leave the block (see
// dispatch.h).
using Handler = const Op* (*)(isa::riscv::Hart&, const Op*, Runner&);

struct Op {
    Handler handler;
    isa::riscv::Operands operands;
};
static_assert(sizeof(Op) == 16);

inline constexpr unsigned kMaxBlockOps = 64;

// Followed in memory by count + 1 ops (the last one leaves the block at its end) and the block's instruction bytes.
struct Block {
    uint64_t physical;
    Block* next_in_bucket;
    uint32_t verified;  // the fence.i after which the bytes were last known to be memory's
    uint16_t count;     // instructions
    uint16_t bytes;     // their length in memory

    Op* ops() { return reinterpret_cast<Op*>(this + 1); }
    const Op* ops() const { return reinterpret_cast<const Op*>(this + 1); }
    uint8_t* code() { return reinterpret_cast<uint8_t*>(ops() + count + 1); }
    const uint8_t* code() const { return reinterpret_cast<const uint8_t*>(ops() + count + 1); }
    static size_t size_for(size_t count, size_t bytes) {
        return (sizeof(Block) + (count + 1) * sizeof(Op) + bytes + 15) & ~size_t{15};
    }
};

// Storage for one instruction outside the cache: single steps, and instructions that cross a page.
struct SingleBlock {
    Block block;
    Op ops[2];
    uint8_t code[8];
};

// One thread's. Memory is bounded: when it is full everything is dropped.
class BlockCache {
  public:
    BlockCache();

    Block* find(uint64_t physical) {
        for (Block* block = buckets_[bucket(physical)]; block != nullptr; block = block->next_in_bucket) {
            if (block->physical == physical) return block;
        }
        return nullptr;
    }
    // Decodes up to kMaxBlockOps instructions from `code` (which ends at the page's end), up to the first that may
    // leave the block. `dropped` is set when the cache was full and all earlier Block pointers are void. nullptr when
    // not even the first instruction lies wholly in `size`.
    Block* build(uint64_t physical, const uint8_t* code, size_t size, bool& dropped);
    void remove(Block* block);

    // One instruction into `single`, which stays the caller's.
    static void build_single(SingleBlock& single, uint32_t instruction);

  private:
    static constexpr size_t kBytes = 3 << 19;  // small: sixteen harts have one each
    static constexpr size_t kBuckets = 1 << 14;
    static size_t bucket(uint64_t physical) { return (physical >> 1 ^ physical >> 15) & (kBuckets - 1); }

    struct Unmap {
        void operator()(uint8_t* memory) const;
    };
    std::unique_ptr<uint8_t, Unmap> arena_;
    size_t used_ = 0;
    std::array<Block*, kBuckets> buckets_{};
};

}  // namespace doppel::cpu::interpret
