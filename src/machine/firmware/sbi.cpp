#include "machine/firmware/sbi.h"

#include "isa/riscv/csr.h"
#include "isa/riscv/mmu.h"
#include "machine/firmware/sbi_extensions.h"

namespace doppel::machine::firmware {

using isa::riscv::ControlRegisters;
using isa::riscv::Hart;
using isa::riscv::Privilege;

namespace {

constexpr uint64_t kEcallBytes = 4;  // it has no compressed form

// WARL registers take what they can of all ones.
void delegate_everything(Hart& hart) {
    constexpr uint32_t kMedeleg = 0x302, kMideleg = 0x303;
    hart.privilege = Privilege::kMachine;
    static_cast<void>(isa::riscv::csr_write(hart, kMedeleg, ~uint64_t{0}));
    static_cast<void>(isa::riscv::csr_write(hart, kMideleg, ~uint64_t{0}));
}

void open_memory(Hart& hart) {
    constexpr uint64_t kNapotReadWriteExecute = 3 << 3 | 7;
    isa::riscv::pmp_write_address(hart, 0, ~uint64_t{0});
    isa::riscv::pmp_write_config(hart, 0, kNapotReadWriteExecute);
}

SbiAnswer dispatch(SbiCall& call, const SbiExtension* extension) {
    return extension == nullptr ? answer(SbiError::kNotSupported) : extension->handler(call);
}

}  // namespace

Sbi::Sbi(Services& services) : services_(services) {
    for (auto& features : features_) features.store(kFeaturesAtReset);
}

void Sbi::prepare(Hart& hart) const {
    constexpr uint64_t kCycleTimeInstret = 7;
    namespace envcfg = isa::riscv::envcfg;
    hart.csr = ControlRegisters{};
    delegate_everything(hart);
    open_memory(hart);
    hart.csr.mcounteren = kCycleTimeInstret;
    // As OpenSBI leaves it: Linux without a PMU driver does not write it, and its vDSO reads the time in user mode.
    hart.csr.scounteren = kCycleTimeInstret;
    hart.csr.menvcfg = envcfg::kStce | envcfg::kPbmte | envcfg::kAdue | envcfg::kCbie | envcfg::kCbcfe | envcfg::kCbze;
    hart.privilege = Privilege::kSupervisor;
    hart.host_firmware = true;
    hart.reservation = {};
    hart.pending.store(0);
    hart.translation_version++;
    if (hart.id < kMaxSbiHarts) features_[hart.id].store(kFeaturesAtReset);
}

Next Sbi::call(unsigned caller, Hart& hart) {
    if (caller >= kMaxSbiHarts) return Next::kStop;
    SbiCall call{services_, hart, caller, features_[caller]};
    hart.reservation = {};  // an environment call is a trap
    uint32_t id = static_cast<uint32_t>(hart.x[kA7]);
    SbiAnswer answered = dispatch(call, find_sbi_extension(id));
    if (answered.placed) return answered.next;
    uint64_t error = static_cast<uint64_t>(answered.error);
    if (is_legacy_sbi_extension(id)) {
        hart.x[kA0] = answered.error == SbiError::kSuccess ? answered.value : error;
    } else {
        hart.x[kA0] = error;
        hart.x[kA1] = answered.value;
    }
    hart.pc += kEcallBytes;
    return answered.next;
}

void Sbi::restore_features(unsigned hart, uint32_t features) {
    features_[hart].store(features & kFeaturesKnown);
}

}  // namespace doppel::machine::firmware
