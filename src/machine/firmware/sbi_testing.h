// The fixture of the SBI's tests: three harts unless told otherwise, hart 1 calls.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <vector>

#include "isa/riscv/mmu.h"
#include "machine/firmware/sbi.h"
#include "machine/firmware/sbi_fakes.h"

namespace doppel::machine::firmware::test {

using isa::riscv::Hart;
using isa::riscv::Privilege;
namespace irq = isa::riscv::irq;

inline constexpr uint64_t kAll = ~uint64_t{0};
inline constexpr int64_t kSuccess = 0, kFailed = -1, kNotSupported = -2, kInvalidParam = -3, kDenied = -4,
                         kInvalidAddress = -5, kAlreadyAvailable = -6, kDeniedLocked = -14;
inline constexpr uint64_t kBase = 0x10, kTime = 0x54494d45, kIpi = 0x735049, kRfence = 0x52464e43, kHsm = 0x48534d,
                          kSrst = 0x53525354, kDbcn = 0x4442434e, kFwft = 0x46574654;

struct Answered {
    int64_t error;
    uint64_t value;
    Next next;
};

class SbiTest : public testing::Test {
  protected:
    static constexpr uint64_t kPc = fake::kRam + 0x100;
    static constexpr unsigned kCaller = 1;

    explicit SbiTest(unsigned harts = 3) : machine(harts), sbi(machine) {
        hart.id = kCaller;
        sbi.prepare(hart);
        hart.pc = kPc;
    }
    void SetUp() override { ASSERT_TRUE(machine.ready); }

    // One environment call; checks what holds for every call that returns: pc, and all registers but a0 and a1.
    Answered call(uint64_t extension, uint64_t function, std::initializer_list<uint64_t> arguments = {}) {
        auto before = enter(extension, function, arguments);
        uint64_t pc = hart.pc;
        Next next = sbi.call(kCaller, hart);
        EXPECT_EQ(hart.pc, pc + 4);
        expect_registers(before, 12);
        return {static_cast<int64_t>(hart.x[10]), hart.x[11], next};
    }
    // The same for the legacy extensions, which answer in a0 alone.
    int64_t legacy(uint64_t extension, std::initializer_list<uint64_t> arguments = {},
                   Next expected = Next::kContinue) {
        constexpr uint64_t kIgnored = 77;
        auto before = enter(extension, kIgnored, arguments);
        uint64_t pc = hart.pc;
        EXPECT_EQ(sbi.call(kCaller, hart), expected);
        EXPECT_EQ(hart.pc, pc + 4);
        expect_registers(before, 11);
        return static_cast<int64_t>(hart.x[10]);
    }
    int64_t error(uint64_t extension, uint64_t function, std::initializer_list<uint64_t> arguments = {}) {
        return call(extension, function, arguments).error;
    }

    std::array<uint64_t, 33> enter(uint64_t extension, uint64_t function, std::initializer_list<uint64_t> arguments) {
        for (unsigned i = 1; i < 32; i++) hart.x[i] = 0x1111'0000'0000 + i;
        std::copy(arguments.begin(), arguments.end(), &hart.x[10]);
        hart.x[16] = function;
        hart.x[17] = extension;
        return hart.x;
    }
    void expect_registers(const std::array<uint64_t, 33>& before, unsigned first_kept) {
        for (unsigned i = 0; i < 32; i++) {
            if (i < 10 || i >= first_kept) {
                EXPECT_EQ(hart.x[i], before[i]) << "x" << i;
            }
        }
    }
    // The harts that were asked for a fence since the last time.
    uint64_t fenced_translations() { return fenced(&fake::Vcpu::take_translation_fence); }
    uint64_t fenced_instructions() { return fenced(&fake::Vcpu::take_instruction_fence); }

    fake::Machine machine;
    Sbi sbi;
    Hart hart;

  private:
    uint64_t fenced(bool (fake::Vcpu::*take)()) {
        uint64_t harts = 0;
        for (unsigned i = 0; i < machine.hart_count(); i++) harts |= uint64_t{(machine.vcpu(i).*take)()} << i;
        return harts;
    }
};

}  // namespace doppel::machine::firmware::test
