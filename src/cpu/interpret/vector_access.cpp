#include "cpu/interpret/vector_access.h"

#include <cstring>

#include "isa/riscv/mmu.h"

namespace doppel::cpu::interpret {

namespace {

class RunnerMemory final : public isa::riscv::vector::VectorMemory {
  public:
    RunnerMemory(Runner& runner, const Op* op) : runner_(runner), op_(op) {}

    bool load(uint64_t address, unsigned bytes, uint64_t& value) override {
        if (const uint8_t* host = runner_.readable(address, bytes)) {
            value = 0;
            std::memcpy(&value, host, bytes);
            return true;
        }
        return runner_.load_slow(op_, address, bytes, value);
    }
    bool store(uint64_t address, unsigned bytes, uint64_t value) override {
        if (uint8_t* host = runner_.writable(address, bytes)) {
            std::memcpy(host, &value, bytes);
            return true;
        }
        return runner_.store_slow(op_, address, bytes, value);
    }
    bool loadable(uint64_t address, unsigned bytes) override {
        if (runner_.readable(address, bytes) != nullptr) return true;
        uint64_t last = address + bytes - 1;
        return memory_at(address) && memory_at(last);
    }

    uint8_t* within_page(uint64_t address, uint64_t bytes, bool writes) override {
        const auto size = static_cast<unsigned>(bytes);
        return writes ? runner_.writable(address, size) : runner_.readable(address, size);
    }

  private:
    // Devices are not memory: reading ahead there could have effects.
    bool memory_at(uint64_t address) {
        auto context = runner_.system_context();
        auto found = isa::riscv::translate(context.hart, context.memory, address, 1, isa::riscv::Access::kLoad,
                                           isa::riscv::data_mode(context.hart));
        return found.ok && context.memory.find(found.physical, 1) != nullptr;
    }

    Runner& runner_;
    const Op* op_;
};

}  // namespace

isa::riscv::vector::VectorResult execute_vector(isa::riscv::Hart& hart, Runner& runner, const Op* op,
                                                isa::riscv::vector::VectorFunction& function,
                                                const isa::riscv::vector::VectorOperands& operands) {
    RunnerMemory memory(runner, op);
    isa::riscv::vector::VectorUnit unit{hart, memory};
    return function(unit, operands);
}

}  // namespace doppel::cpu::interpret
