// Chapter "Legacy Extensions": version 0.1 of the interface, an extension for each function.
#include "isa/riscv/mmu.h"
#include "isa/riscv/trap.h"
#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

namespace {

using isa::riscv::Access;
using isa::riscv::Hart;
using isa::riscv::Translation;

// nullopt: the guest may not, and has been sent to its trap handler, sepc at the environment call.
std::optional<uint8_t> load_virtual(SbiCall& call, uint64_t address) {
    Hart& hart = call.hart;
    memory::GuestMemory& memory = call.services.memory();
    Translation found = translate(hart, memory, address, 1, Access::kLoad, data_mode(hart));
    auto byte = found.ok ? memory.load<uint8_t>(found.physical) : std::nullopt;
    if (!byte) take_trap(hart, found.ok ? isa::riscv::cause::kLoadAccess : found.cause, address);
    return byte;
}

// The bit-vector at a virtual address: one word, for harts are at most 64. nullopt as above.
std::optional<uint64_t> load_mask(SbiCall& call, uint64_t address) {
    // The specification is silent, but firmware and kernels of that time agree that no pointer means all.
    if (address == 0) return all_harts(call.services);
    uint64_t mask = 0;
    for (unsigned i = 0; i < sizeof mask; i++) {
        auto byte = load_virtual(call, address + i);
        if (!byte) return std::nullopt;
        mask |= uint64_t{*byte} << (8 * i);
    }
    return mask;
}

template <class Action>
SbiAnswer for_harts_at_a0(SbiCall& call, Action action) {
    auto mask = load_mask(call, call.argument(0));
    if (!mask) return SbiAnswer::placed_at_pc(Next::kContinue);
    auto harts = select_harts(call.services, *mask, 0);
    if (!harts) return answer(SbiError::kInvalidParam);
    action(*harts);
    return {};
}

SbiAnswer fence_translations(SbiCall& call) {
    SbiError checked = check_fence_range(call.argument(1), call.argument(2));
    if (checked != SbiError::kSuccess) return answer(checked);
    return for_harts_at_a0(call, [&](uint64_t harts) { fence_harts(call, harts, Fence::kTranslations); });
}

}  // namespace

SbiAnswer sbi_legacy_set_timer(SbiCall& call) {
    set_timer(call.hart, call.argument(0));
    return {};
}

SbiAnswer sbi_legacy_putchar(SbiCall& call) {
    uint8_t byte = static_cast<uint8_t>(call.argument(0));
    call.services.console_write({&byte, 1});
    return {};
}

SbiAnswer sbi_legacy_getchar(SbiCall& call) {
    uint8_t byte = 0;
    return call.services.console_read({&byte, 1}) == 1 ? SbiAnswer::of(byte) : answer(SbiError::kFailed);
}

SbiAnswer sbi_legacy_clear_ipi(SbiCall& call) {
    uint64_t bit = isa::riscv::irq::bit(isa::riscv::irq::kSupervisorSoftware);
    bool was_pending = call.hart.pending.fetch_and(~bit) & bit;
    return SbiAnswer::of(was_pending ? 1 : 0);
}

SbiAnswer sbi_legacy_send_ipi(SbiCall& call) {
    return for_harts_at_a0(call, [&](uint64_t harts) { send_ipi(call.services, harts); });
}

SbiAnswer sbi_legacy_fence_i(SbiCall& call) {
    return for_harts_at_a0(call, [&](uint64_t harts) { fence_harts(call, harts, Fence::kInstructions); });
}

SbiAnswer sbi_legacy_sfence_vma(SbiCall& call) {
    return fence_translations(call);
}

SbiAnswer sbi_legacy_sfence_vma_asid(SbiCall& call) {
    SbiError checked = check_fence_space(call.argument(3));
    return checked == SbiError::kSuccess ? fence_translations(call) : answer(checked);
}

SbiAnswer sbi_legacy_shutdown(SbiCall& call) {
    call.services.reset_system(SystemReset::kShutdown, false);
    return {SbiError::kSuccess, 0, Next::kStop};
}

}  // namespace doppel::machine::firmware
