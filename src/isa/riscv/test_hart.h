// What unit tests of the privileged architecture share: a hart with memory, a time that tests own, and an engine
// that counts what it is told.
#pragma once

#include <atomic>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>

#include "isa/riscv/csr.h"
#include "isa/riscv/mmu.h"
#include "isa/riscv/system.h"

namespace doppel::isa::riscv {

class TestTime final : public Environment {
  public:
    uint64_t time() const override { return ticks.fetch_add(step); }
    mutable std::atomic<uint64_t> ticks{0};
    uint64_t step = 0;  // by which each look at the time advances it
    std::optional<uint16_t> entropy() const override { return next_entropy; }
    std::optional<uint16_t> next_entropy = 0;
};

class TestEngine final : public EngineHooks {
  public:
    void drop_translations(const uint64_t* address, const uint64_t* asid) override {
        translation_fences++;
        fenced_address = address ? *address : 0;
        fenced_asid = asid ? *asid : 0;
        every_address = address == nullptr;
        every_space = asid == nullptr;
    }
    void drop_instructions() override { instruction_fences++; }
    void context_changed() override { context_changes++; }
    void pause() override { pauses++; }

    int translation_fences = 0, instruction_fences = 0, context_changes = 0, pauses = 0;
    uint64_t fenced_address = 0, fenced_asid = 0;
    bool every_address = false, every_space = false;
};

// All of memory is allowed to every privilege by PMP entry 0.
inline void open_pmp(Hart& hart) {
    constexpr uint64_t kNapotReadWriteExecute = 3 << 3 | 7;
    pmp_write_address(hart, 0, ~uint64_t{0});
    pmp_write_config(hart, 0, kNapotReadWriteExecute);
}

struct TestHart {
    static constexpr uint64_t kRam = 0x8000'0000, kRamBytes = 1 << 24;
    static constexpr uint64_t kRom = 0x1000, kRomBytes = 0x2000;

    TestHart() {
        bool added = memory.add_region(kRom, kRomBytes, false) && memory.add_region(kRam, kRamBytes);
        if (!added) throw std::bad_alloc();
        open_pmp(hart);
    }

    SystemContext context() { return {hart, memory, time, engine}; }
    std::optional<uint64_t> read(uint32_t csr) { return csr_read(hart, time, csr); }
    bool write(uint32_t csr, uint64_t value) { return csr_write(hart, csr, value); }
    // Reads and writes as M-mode, whatever the hart's privilege is.
    uint64_t peek(uint32_t csr) {
        Privilege privilege = std::exchange(hart.privilege, Privilege::kMachine);
        uint64_t value = read(csr).value_or(0xbad);
        hart.privilege = privilege;
        return value;
    }
    void poke(uint32_t csr, uint64_t value) {
        Privilege privilege = std::exchange(hart.privilege, Privilege::kMachine);
        if (!write(csr, value)) throw std::logic_error("no such register");
        hart.privilege = privilege;
    }

    Hart hart;
    memory::GuestMemory memory;
    TestTime time;
    TestEngine engine;
};

}  // namespace doppel::isa::riscv
