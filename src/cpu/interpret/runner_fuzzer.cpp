// Everything the guest controls is the input: code and page tables (random memory), registers, CSRs, and through a
// restored state the rest of the hart. The runner must neither crash nor break its promises.
#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "cpu/interpret/interpreter.h"
#include "device/device_fuzzing.h"
#include "isa/riscv/assemble.h"
#include "isa/riscv/mmu.h"

namespace {

using namespace doppel;
using device::fuzz_require;
using device::FuzzBytes;
using isa::riscv::Hart;
using isa::riscv::Privilege;

constexpr uint64_t kRom = 0x1000, kRam = 0x8000'0000, kRamBytes = 1 << 20, kDevice = 0x1000'0000, kDeviceBytes = 0x1000;

// An address that is likely to matter.
uint64_t address(FuzzBytes& bytes) {
    uint64_t raw = bytes.integer(8);
    switch (bytes.integer(1) % 4) {
        case 0:
            return raw;
        case 1:
            return kDevice + raw % (kDeviceBytes + 8);
        default:
            return kRam + raw % kRamBytes;
    }
}

class FuzzedDevice final : public device::Device {
  public:
    explicit FuzzedDevice(Hart& hart) : hart_(hart) {}
    std::string_view name() const override { return "fuzzed"; }
    uint64_t read(uint64_t offset, unsigned bytes) override {
        fuzz_require(bytes <= 8 && offset % bytes == 0 && offset + bytes <= kDeviceBytes);
        return value_;
    }
    void write(uint64_t offset, unsigned bytes, uint64_t value) override {
        fuzz_require(bytes <= 8 && offset % bytes == 0 && offset + bytes <= kDeviceBytes);
        fuzz_require(bytes == 8 || value >> (8 * bytes) == 0);
        value_ = value_ * 3 + value;
        hart_.lines.store(value & (isa::riscv::irq::kMachineAll | isa::riscv::irq::kSupervisorAll));
        vcpu->notify();
    }
    void reset() override {}

    cpu::Vcpu* vcpu = nullptr;

  private:
    Hart& hart_;
    uint64_t value_ = 0;
};

class FuzzedTime final : public isa::riscv::Environment {
  public:
    uint64_t time() const override { return now_ += 3; }
    std::optional<uint16_t> entropy() const override { return static_cast<uint16_t>(now_ += 3); }

  private:
    mutable uint64_t now_ = 0;
};

// A register file that the guest or a hostile saved state can bring about.
void fill_hart(Hart& hart, FuzzBytes& bytes) {
    hart.privilege = static_cast<Privilege>(bytes.integer(1) & 3);
    hart.pc = address(bytes);
    for (uint64_t& x : hart.x) x = address(bytes);
    auto& csr = hart.csr;
    csr.stvec = address(bytes), csr.mepc = address(bytes), csr.sepc = address(bytes);
    bool wild = bytes.integer(1) % 8 == 0;
    csr.mtvec = wild ? address(bytes) : kRom;
    csr.medeleg = wild ? bytes.integer(8) : 0;
    for (uint64_t* reg : {&csr.mstatus, &csr.mideleg, &csr.mie, &csr.menvcfg, &csr.senvcfg, &csr.stimecmp,
                          &csr.mcounteren, &csr.scounteren, &csr.mcountinhibit, &csr.mseccfg}) {
        *reg = bytes.integer(8);
    }
    constexpr uint64_t kFirstMode = 8;
    uint64_t choice = bytes.integer(1);
    if (choice % 4 != 0) {
        csr.satp =
            (kFirstMode + choice % 3) << 60 | (bytes.integer(2) << 44) | (kRam + bytes.integer(2) % 256 * 4096) >> 12;
    }
    uint8_t frm = static_cast<uint8_t>(bytes.integer(1));
    csr.frm = frm;
    // Without an open entry most inputs would end at their first fetch.
    bool guarded = bytes.integer(1) % 4 == 0;
    for (size_t i = 0; guarded && i < 4; i++) {
        csr.pmpcfg[i] = static_cast<uint8_t>(bytes.integer(1)), csr.pmpaddr[i] = address(bytes) >> 2;
    }
    csr.pmpcfg[4] = 0x1f, csr.pmpaddr[4] = ~uint64_t{0};
    hart.host_firmware = bytes.integer(1) % 2 != 0;
    hart.pending.store(bytes.integer(2));
    hart.make_legal();
}

// A trap handler in ROM that skips what trapped, so that most inputs go on.
void fill_rom(memory::GuestMemory& memory) {
    uint64_t at = kRom;
    for (const char* line : {"csrrs t0, mepc, zero", "addi t0, t0, 2", "csrrw zero, mepc, t0", "mret"}) {
        fuzz_require(memory.store(at, *isa::riscv::assemble(line)));
        at += 4;
    }
}

// Bytes at addresses, and page-table entries of the kinds that random bytes would rarely make.
void fill_memory(memory::GuestMemory& memory, FuzzBytes& bytes) {
    while (!bytes.empty()) {
        uint64_t kind = bytes.integer(1);
        uint64_t at = kRam + bytes.integer(3) % kRamBytes;
        if (kind % 2 == 0) {
            std::span<const uint8_t> content = bytes.take(1 + kind / 4);
            if (!memory.write(at, content)) continue;
        } else {
            constexpr uint64_t kUnusual = 0xff00'0000'0000'0000;
            uint64_t target = (kRam + bytes.integer(1) * 4096) >> 12 << 10;
            uint64_t entry = target | (bytes.integer(1) | 1) | (kind & 4 ? bytes.integer(8) & kUnusual : 0);
            uint64_t count = 1 + kind / 16;
            for (uint64_t i = 0; i < count; i++) (void)memory.store(((at & ~uint64_t{7}) + 8 * i), entry + (i << 10));
        }
    }
}

// Traps retire nothing, so that a guest that does nothing else spends no budget: only a request ends it.
class Watchdog {
  public:
    explicit Watchdog(cpu::Vcpu& vcpu) : thread_([this, &vcpu] { watch(vcpu); }) {}
    ~Watchdog() {
        {
            std::lock_guard guard(lock_);
            done_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

  private:
    void watch(cpu::Vcpu& vcpu) {
        constexpr auto kPatience = std::chrono::milliseconds(5);
        std::unique_lock guard(lock_);
        while (!changed_.wait_for(guard, kPatience, [this] { return done_; })) vcpu.request_exit();
    }

    std::mutex lock_;
    std::condition_variable changed_;
    bool done_ = false;
    std::thread thread_;
};

void check(const Hart& hart) {
    fuzz_require(hart.x[0] == 0 && hart.pc % 2 == 0);
    fuzz_require(hart.privilege != static_cast<Privilege>(2));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzBytes bytes(data, size);
    memory::GuestMemory memory;
    fuzz_require(memory.add_region(kRam, kRamBytes) && memory.add_region(kRom, 4096, false));
    auto hart = std::make_unique<Hart>();
    FuzzedDevice device(*hart);
    device::Bus bus;
    fuzz_require(bus.map(kDevice, kDeviceBytes, device).has_value());
    FuzzedTime time;
    auto vcpu = cpu::interpret::Interpreter().make_vcpu({*hart, memory, bus, time});
    device.vcpu = vcpu.get();

    fill_hart(*hart, bytes);
    uint64_t requests = bytes.integer(8);
    fill_rom(memory);
    fill_memory(memory, bytes);
    Watchdog watchdog(*vcpu);
    for (int round = 0; round < 8; round++) {
        unsigned request = requests >> (8 * round) & 0xff;
        if (request & 1) vcpu->request_translation_fence();
        if (request & 2) vcpu->request_instruction_fence();
        if (request & 4) hart->make_legal();
        uint64_t budget = request & 8 ? request >> 4 : 200;
        uint64_t before = hart->retired;
        cpu::ExitReason reason = vcpu->run(budget);
        fuzz_require(hart->retired - before <= budget);
        fuzz_require(reason != cpu::ExitReason::kBudget || hart->retired - before == budget);
        check(*hart);
        if (reason == cpu::ExitReason::kAttention) break;
        if (reason == cpu::ExitReason::kFirmwareCall) hart->pc += 4;
    }
    return 0;
}
