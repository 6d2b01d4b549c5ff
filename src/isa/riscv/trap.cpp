#include "isa/riscv/trap.h"

namespace doppel::isa::riscv {

namespace {

uint64_t vector(uint64_t tvec, uint64_t cause) {
    uint64_t base = tvec & ~uint64_t{3};
    bool vectored = (tvec & 3) == 1 && (cause & cause::kInterrupt);
    return vectored ? base + 4 * (cause & ~cause::kInterrupt) : base;
}

void set(uint64_t& reg, uint64_t bit, bool on) {
    reg = on ? reg | bit : reg & ~bit;
}

bool delegated(const Hart& hart, uint64_t cause) {
    if (hart.privilege == Privilege::kMachine) return false;
    uint64_t number = cause & ~cause::kInterrupt;
    uint64_t delegation = cause & cause::kInterrupt ? hart.csr.mideleg : hart.csr.medeleg;
    return number < 64 && (delegation >> number & 1);
}

}  // namespace

void take_trap(Hart& hart, uint64_t cause, uint64_t tval) {
    ControlRegisters& csr = hart.csr;
    hart.reservation.bytes = 0;
    if (delegated(hart, cause)) {
        csr.scause = cause, csr.sepc = hart.pc, csr.stval = tval;
        set(csr.mstatus, mstatus::kSpie, csr.mstatus & mstatus::kSie);
        set(csr.mstatus, mstatus::kSie, false);
        set(csr.mstatus, mstatus::kSpp, hart.privilege == Privilege::kSupervisor);
        hart.privilege = Privilege::kSupervisor;
        hart.pc = vector(csr.stvec, cause);
        return;
    }
    csr.mcause = cause, csr.mepc = hart.pc, csr.mtval = tval;
    set(csr.mstatus, mstatus::kMpie, csr.mstatus & mstatus::kMie);
    set(csr.mstatus, mstatus::kMie, false);
    csr.mstatus = (csr.mstatus & ~mstatus::kMpp) | static_cast<uint64_t>(hart.privilege) << mstatus::kMppShift;
    hart.privilege = Privilege::kMachine;
    hart.pc = vector(csr.mtvec, cause);
}

void return_from_machine_trap(Hart& hart) {
    ControlRegisters& csr = hart.csr;
    hart.privilege = static_cast<Privilege>((csr.mstatus & mstatus::kMpp) >> mstatus::kMppShift);
    set(csr.mstatus, mstatus::kMie, csr.mstatus & mstatus::kMpie);
    csr.mstatus = (csr.mstatus | mstatus::kMpie) & ~mstatus::kMpp;
    if (hart.privilege != Privilege::kMachine) csr.mstatus &= ~mstatus::kMprv;
    hart.pc = csr.mepc & ~uint64_t{1};
}

void return_from_supervisor_trap(Hart& hart) {
    ControlRegisters& csr = hart.csr;
    hart.privilege = csr.mstatus & mstatus::kSpp ? Privilege::kSupervisor : Privilege::kUser;
    set(csr.mstatus, mstatus::kSie, csr.mstatus & mstatus::kSpie);
    csr.mstatus = (csr.mstatus | mstatus::kSpie) & ~(mstatus::kSpp | mstatus::kMprv);
    hart.pc = csr.sepc & ~uint64_t{1};
}

}  // namespace doppel::isa::riscv
