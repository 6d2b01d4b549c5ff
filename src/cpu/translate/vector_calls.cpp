#include "cpu/translate/vector_calls.h"

#include <cstring>
#include <utility>

#include "cpu/translate/tier.h"

namespace doppel::cpu::translate {

using isa::riscv::vector::VectorFunction;
using isa::riscv::vector::VectorOperands;
using isa::riscv::vector::VectorResult;

// Guest memory as far as translated code reaches it.
class Tier::VectorAccess : public isa::riscv::vector::VectorMemory {
  public:
    explicit VectorAccess(Tier& tier) : tier_(tier) {}

    bool load(uint64_t address, unsigned bytes, uint64_t& value) override {
        const uint8_t* host = tier_.host_memory(address, bytes, false);
        if (host == nullptr) return false;
        value = 0;
        std::memcpy(&value, host, bytes);
        return true;
    }
    bool store(uint64_t address, unsigned bytes, uint64_t value) override {
        uint8_t* host = tier_.host_memory(address, bytes, true);
        if (host == nullptr) return false;
        if (!tries_) std::memcpy(host, &value, bytes);
        return true;
    }
    // The load itself will tell: from there on the instruction is the interpreter's, who looks again.
    bool loadable(uint64_t, unsigned) override { return true; }
    uint8_t* within_page(uint64_t address, uint64_t bytes, bool writes) override {
        return tries_ ? nullptr : tier_.host_memory(address, bytes, writes);
    }

    // Stores are only looked up from now on, or are done again.
    void try_only(bool tries) { tries_ = tries; }

  private:
    Tier& tier_;
    bool tries_ = false;
};

uint8_t* Tier::host_memory(uint64_t address, uint64_t bytes, bool writes) {
    const uint64_t page = (address + bytes - 1) & interpret::kPageMask;
    const auto holds = [&](const interpret::TlbEntry& entry) {
        return (writes ? entry.write_tag : entry.read_tag) == page;
    };
    const interpret::TlbEntry* entry = &tlb_->slot(address);
    if (!holds(*entry)) {
        const bool filled = host_.fill(address, static_cast<unsigned>(bytes), writes);
        show_tlb(*tlb_);
        entry = &tlb_->slot(address);
        if (!filled || !holds(*entry)) return nullptr;
    }
    return reinterpret_cast<uint8_t*>(address + entry->offset);
}

// Whether the instruction would be done as a whole; nothing has changed afterwards.
bool Tier::is_whole(VectorFunction& function, const VectorOperands& operands) {
    VectorAccess memory(*this);
    memory.try_only(true);
    isa::riscv::vector::VectorUnit unit{hart_, memory};
    const isa::riscv::VectorState vector = hart_.vector;
    const uint64_t mstatus = hart_.csr.mstatus;
    const uint8_t fflags = hart_.csr.fflags;
    const bool whole = function(unit, operands).outcome == VectorResult::Outcome::kDone;
    hart_.vector = vector;
    hart_.csr.mstatus = mstatus;
    hart_.csr.fflags = fflags;
    return whole;
}

uint64_t Tier::execute(VectorFunction& function, const VectorOperands& operands) {
    state_.refused = 1;
    if (host_.undoes() && !is_whole(function, operands)) return 0;
    VectorAccess memory(*this);
    isa::riscv::vector::VectorUnit unit{hart_, memory};
    return finish(function(unit, operands));
}

uint64_t Tier::finish(const VectorResult& result) {
    state_.refused = result.outcome != VectorResult::Outcome::kDone ? 1 : 0;
    return result.value;
}

namespace {

Tier& tier_of(void* state) {
    return *static_cast<Tier*>(native_state_of(hart_of(state)).engine);
}

}  // namespace

uint64_t execute_vector(void* state, VectorFunction& function, const VectorOperands& operands) {
    return tier_of(state).execute(function, operands);
}
uint64_t finish_vector(void* state, const VectorResult& result) {
    return tier_of(state).finish(result);
}

}  // namespace doppel::cpu::translate
