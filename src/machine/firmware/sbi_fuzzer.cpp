// A hostile guest's environment calls: any registers, any memory, any page tables.
#include <algorithm>
#include <cstdlib>

#include "base/byte_order.h"
#include "machine/firmware/sbi.h"
#include "machine/firmware/sbi_extensions.h"
#include "machine/firmware/sbi_fakes.h"

namespace {

using namespace doppel;
using namespace doppel::machine::firmware;

void require(bool kept) {
    if (!kept) std::abort();
}

class Input {
  public:
    Input(const uint8_t* data, size_t size) : left_(data, size) {}
    bool empty() const { return left_.empty(); }
    uint8_t byte() { return static_cast<uint8_t>(integer(1)); }
    uint64_t integer(size_t width) {
        uint8_t whole[8] = {};
        auto front = left_.first(std::min(width, left_.size()));
        std::copy(front.begin(), front.end(), whole);
        left_ = left_.subspan(front.size());
        return load_le<uint64_t>(whole);
    }
    // Often a value at which something changes.
    uint64_t interesting() {
        constexpr uint64_t kBorders[] = {
            0, 1, ~uint64_t{0}, 63, 64, uint64_t{1} << 63, 0x8000'0000, fake::kRam + fake::kRamSize, fake::kRom};
        uint8_t how = byte();
        if (how & 0x80) return integer(8);
        if (how & 0x40) return fake::kRam + integer(2) * 8;
        return kBorders[how % std::size(kBorders)] + (how & 0x20 ? integer(1) : 0) - (how & 0x10 ? 1 : 0);
    }

  private:
    std::span<const uint8_t> left_;
};

void call_once(Input& input, fake::Machine& machine, Sbi& sbi, isa::riscv::Hart& hart) {
    auto extensions = sbi_extensions();
    uint8_t which = input.byte();
    hart.x[kA7] = which < 0xf0 ? extensions[which % extensions.size()].id : input.integer(8);
    hart.x[kA6] = input.byte() & 0x80 ? input.integer(8) : input.integer(1) & 7;
    for (unsigned i = 0; i < 6; i++) hart.x[kA0 + i] = input.interesting();
    auto before = hart.x;
    uint64_t pc = hart.pc;
    size_t written = machine.output.size();
    Next next = sbi.call(0, hart);
    require(hart.privilege == isa::riscv::Privilege::kSupervisor && hart.host_firmware);
    for (unsigned i = 0; i < 32; i++) require(i == kA0 || i == kA1 || hart.x[i] == before[i]);
    require(hart.pc == pc + 4 || hart.pc == hart.csr.stvec || next == Next::kSuspend);
    require(machine.output.size() - written <= 1 << 16);
    require(machine.hart_count() == kMaxSbiHarts || machine.interrupted >> machine.hart_count() == 0);
    hart.pc = pc;
}

void change_state(Input& input, fake::Machine& machine, isa::riscv::Hart& hart) {
    switch (input.byte() % 4) {
        case 0:
            hart.csr.satp = (input.byte() & 3 ? uint64_t{8} << 60 : 0) | fake::kRam >> 12;
            break;
        case 1:
            static_cast<void>(machine.ram.store(fake::kRam + input.integer(1) * 8, input.integer(8)));
            break;
        case 2:
            machine.states[input.byte() % machine.states.size()] = static_cast<HartState>(input.byte() % 7);
            break;
        default:
            machine.input.assign(input.byte(), 'i');
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Input input(data, size);
    fake::Machine machine(1 + input.byte() % kMaxSbiHarts);
    if (!machine.ready) return 0;
    Sbi sbi(machine);
    isa::riscv::Hart hart;
    sbi.prepare(hart);
    hart.pc = fake::kRam;
    while (!input.empty()) {
        if (input.byte() & 1) change_state(input, machine, hart);
        call_once(input, machine, sbi, hart);
    }
    return 0;
}
