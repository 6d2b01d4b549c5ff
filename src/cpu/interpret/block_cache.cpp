#include "cpu/interpret/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/byte_order.h"
#include "cpu/interpret/dispatch.h"

namespace doppel::cpu::interpret {

namespace {

using isa::riscv::Decoded;
using isa::riscv::InstructionId;

constexpr uint8_t kZeroSink = 32;  // Hart::x: writes to x0 go there

Op make_op(const Decoded& decoded, unsigned position) {
    Op op{handler_of(decoded.id), decoded.operands};
    op.operands.position = static_cast<uint8_t>(position);
    if (op.operands.rd == 0 && isa::riscv::info(decoded.id).operands->integer_destination()) op.operands.rd = kZeroSink;
    return op;
}

Op make_end(unsigned position) {
    Op op{end_of_block(), {}};
    op.operands.position = static_cast<uint8_t>(position);
    return op;
}

// Whether the block must end behind this instruction: it jumps, or changes what the following ones are or mean.
bool ends_block(InstructionId id) {
    static const auto table = [] {
        std::array<bool, isa::riscv::kInstructionCount> ends{};
        for (size_t i = 0; i < ends.size(); i++) {
            const auto& info = isa::riscv::info(static_cast<InstructionId>(i));
            constexpr uint32_t kBranch = 0x63, kJalr = 0x67, kJal = 0x6f, kSystem = 0x73;
            uint32_t opcode = info.match & 0x7f;
            ends[i] = info.length == 4 && (opcode == kBranch || opcode == kJalr || opcode == kJal || opcode == kSystem);
        }
        for (InstructionId id_that_ends :
             {InstructionId::k_fence_i, InstructionId::k_pause, InstructionId::k_c_j, InstructionId::k_c_jr,
              InstructionId::k_c_jalr, InstructionId::k_c_beqz, InstructionId::k_c_bnez, InstructionId::k_c_ebreak,
              InstructionId::k_illegal}) {
            ends[static_cast<size_t>(id_that_ends)] = true;
        }
        return ends;
    }();
    return table[static_cast<size_t>(id)];
}

uint32_t read_instruction(const uint8_t* code) {
    uint32_t low = load_le<uint16_t>(code);
    if (isa::riscv::length_of(low) == 2) return low;
    return low | uint32_t{load_le<uint16_t>(code + 2)} << 16;
}

}  // namespace

void BlockCache::Unmap::operator()(uint8_t* memory) const {
    munmap(memory, kBytes);
}

BlockCache::BlockCache() {
    void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    arena_.reset(static_cast<uint8_t*>(memory));
}

Block* BlockCache::build(uint64_t physical, const uint8_t* code, size_t size, bool& dropped) {
    // The guest may change the bytes meanwhile: decode a copy, and keep it as what the block was made from.
    std::array<uint8_t, kMaxBlockOps * 4> copy;
    size = std::min(size, copy.size());
    std::memcpy(copy.data(), code, size);

    std::array<Op, kMaxBlockOps> ops;
    unsigned count = 0, bytes = 0;
    while (count < kMaxBlockOps && bytes + 2 <= size) {
        unsigned length = isa::riscv::length_of(load_le<uint16_t>(&copy[bytes]));
        if (bytes + length > size) break;
        Decoded decoded = isa::riscv::decode(read_instruction(&copy[bytes]));
        ops[count++] = make_op(decoded, bytes / 2);
        bytes += length;
        if (ends_block(decoded.id)) break;
    }
    if (count == 0) return nullptr;

    size_t needed = Block::size_for(count, bytes);
    if (used_ + needed > kBytes) {
        used_ = 0;
        buckets_.fill(nullptr);
        dropped = true;
    }
    auto* block = new (arena_.get() + used_)
        Block{physical, nullptr, 0, static_cast<uint16_t>(count), static_cast<uint16_t>(bytes)};
    used_ += needed;
    std::copy_n(ops.begin(), count, block->ops());
    block->ops()[count] = make_end(bytes / 2);
    std::memcpy(block->code(), copy.data(), bytes);
    Block*& head = buckets_[bucket(physical)];
    block->next_in_bucket = head;
    head = block;
    return block;
}

void BlockCache::remove(Block* block) {
    Block** link = &buckets_[bucket(block->physical)];
    while (*link != nullptr && *link != block) link = &(*link)->next_in_bucket;
    if (*link == block) *link = block->next_in_bucket;
}

void BlockCache::build_single(SingleBlock& single, uint32_t instruction) {
    Decoded decoded = isa::riscv::decode(instruction);
    single.block = {0, nullptr, 0, 1, decoded.length};
    single.ops[0] = make_op(decoded, 0);
    single.ops[1] = make_end(decoded.length / 2);
    store_le<uint32_t>(single.code, instruction);
}

}  // namespace doppel::cpu::interpret
