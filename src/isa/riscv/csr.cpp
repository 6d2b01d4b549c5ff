#include "isa/riscv/csr.h"

#include <algorithm>
#include <array>
#include <bit>

#include "isa/riscv/csr_aia.h"
#include "isa/riscv/extensions.h"
#include "isa/riscv/mmu.h"

namespace doppel::isa::riscv {

namespace {

constexpr uint64_t kCounterCycle = 1, kCounterTime = 2, kCounterInstret = 4;
constexpr uint64_t kCounterMask = 0xffffffff;
constexpr uint64_t kInhibitMask = kCounterCycle | kCounterInstret;

constexpr uint64_t kMstatusWritable = mstatus::kSie | mstatus::kMie | mstatus::kSpie | mstatus::kMpie | mstatus::kSpp |
                                      mstatus::kMpp | mstatus::kFs | mstatus::kMprv | mstatus::kSum | mstatus::kMxr |
                                      mstatus::kTvm | mstatus::kTw | mstatus::kTsr;
constexpr uint64_t kSstatusWritable =
    mstatus::kSie | mstatus::kSpie | mstatus::kSpp | mstatus::kFs | mstatus::kSum | mstatus::kMxr;
constexpr uint64_t kSstatusVisible = kSstatusWritable | mstatus::kVs | mstatus::kUxl64 | mstatus::kSd;
// Every exception that S-mode can take; an environment call from M-mode cannot be delegated.
constexpr uint64_t kMedelegMask = 0xb3ff;
constexpr uint64_t kAllBits = ~uint64_t{0};

using Env = const Environment&;

void write_masked(uint64_t& reg, uint64_t value, uint64_t mask) {
    reg = (reg & ~mask) | (value & mask);
}

uint64_t read_mstatus(const Hart& h) {
    uint64_t value = h.csr.mstatus;
    bool dirty = (value & mstatus::kFs) == mstatus::kFs || (value & mstatus::kVs) == mstatus::kVs;
    return dirty ? value | mstatus::kSd : value;
}

void write_mstatus(Hart& h, uint64_t value, uint64_t mask) {
    constexpr uint64_t kReservedMpp = 2;
    if (h.vector.present()) mask |= mstatus::kVs;
    if ((value & mstatus::kMpp) >> mstatus::kMppShift == kReservedMpp) mask &= ~mstatus::kMpp;
    write_masked(h.csr.mstatus, value, mask);
}

// mip bits are set by other threads too, so software's bits change by compare-and-swap.
void write_pending(Hart& h, uint64_t value, uint64_t mask) {
    uint64_t old = h.pending.load();
    while (!h.pending.compare_exchange_weak(old, (old & ~mask) | (value & mask))) {
    }
}

uint64_t machine_pending_writable(const Hart& h) {
    uint64_t mask = irq::kSupervisorAll;
    // Sstc: STIP is read-only, driven by stimecmp.
    if (h.csr.menvcfg & envcfg::kStce) mask &= ~irq::bit(irq::kSupervisorTimer);
    return mask;
}

uint64_t supervisor_pending_writable(const Hart& h) {
    return h.csr.mideleg & irq::bit(irq::kSupervisorSoftware);
}

void write_tvec(uint64_t& reg, uint64_t value) {
    if ((value & 3) < 2) reg = value;
}

bool supported_satp(uint64_t value) {
    constexpr uint64_t kBare = 0, kSv39 = 8, kSv57 = 10;
    uint64_t mode = value >> 60;
    return mode == kBare || (mode >= kSv39 && mode <= kSv57);
}

void write_satp(Hart& h, uint64_t value) {
    if (supported_satp(value)) h.csr.satp = value;
}

void write_envcfg(uint64_t& reg, uint64_t value, uint64_t mask) {
    if ((value & envcfg::kCbie) == 2 << 4) mask &= ~envcfg::kCbie;
    write_masked(reg, value, mask);
}

uint64_t read_counter(const Hart& h, uint64_t stored, uint64_t which) {
    return h.csr.mcountinhibit & which ? stored : stored + h.retired;
}

void write_counter(const Hart& h, uint64_t& stored, uint64_t which, uint64_t value) {
    // The write replaces this instruction's own increment (Zicntr: "written value appears in the next instruction").
    stored = h.csr.mcountinhibit & which ? value : value - h.retired - 1;
}

void write_inhibit(Hart& h, uint64_t value) {
    auto switch_over = [&](uint64_t& stored, uint64_t which) {
        bool was = h.csr.mcountinhibit & which, is = value & which;
        if (was != is) stored = is ? stored + h.retired : stored - h.retired;
    };
    switch_over(h.csr.mcycle, kCounterCycle);
    switch_over(h.csr.minstret, kCounterInstret);
    h.csr.mcountinhibit = value & kInhibitMask;
}

// Counter access from lower privileges (privileged manual, "mcounteren", "scounteren").
bool counter_enabled(const Hart& h, unsigned index) {
    uint64_t bit = uint64_t{1} << index;
    if (h.privilege == Privilege::kMachine) return true;
    if (!(h.csr.mcounteren & bit)) return false;
    return h.privilege == Privilege::kSupervisor || (h.csr.scounteren & bit);
}

bool always(const Hart&) {
    return true;
}
bool with_float(const Hart& h) {
    return h.float_enabled();
}
bool with_vector(const Hart& h) {
    return (h.csr.mstatus & mstatus::kVs) != 0;
}
void write_vstart(Hart& h, uint64_t value) {
    h.vector.vstart = value & (h.vector.register_bytes() * 8 - 1);
    h.csr.mstatus |= mstatus::kVs;
}
void write_fixed_point(Hart& h, uint64_t rounding, uint64_t saturated) {
    h.vector.vxrm = rounding & 3, h.vector.vxsat = saturated & 1;
    h.csr.mstatus |= mstatus::kVs;
}
bool satp_accessible(const Hart& h) {
    return h.privilege != Privilege::kSupervisor || !(h.csr.mstatus & mstatus::kTvm);
}
bool stimecmp_accessible(const Hart& h) {
    return h.privilege == Privilege::kMachine || ((h.csr.menvcfg & envcfg::kStce) && (h.csr.mcounteren & kCounterTime));
}

// Zkr, "Access Control to seed".
bool seed_accessible(const Hart& h) {
    if (h.privilege == Privilege::kMachine) return true;
    return (h.csr.mseccfg & (h.privilege == Privilege::kSupervisor ? mseccfg::kSseed : mseccfg::kUseed)) != 0;
}
// Zkr, "The seed CSR": OPST in bits 31 and 30. A virtual source needs neither BIST nor WAIT.
uint64_t read_seed(Env e) {
    constexpr uint64_t kEntropy16 = uint64_t{2} << 30, kDead = uint64_t{3} << 30;
    std::optional<uint16_t> bits = e.entropy();
    return bits ? kEntropy16 | *bits : kDead;
}

struct Row {
    uint32_t number;
    std::string_view name;
    bool (*accessible)(const Hart&);
    uint64_t (*read)(Hart&, Env);
    void (*write)(Hart&, uint64_t);  // null: read-only or writes ignored
};

#define READ(expression)             \
    [](Hart& h, Env e) -> uint64_t { \
        (void)h, (void)e;            \
        return expression;           \
    }
#define WRITE(statement)      \
    [](Hart& h, uint64_t v) { \
        (void)h, (void)v;     \
        statement;            \
    }

// clang-format off
constexpr Row kRows[] = {
    {0x001, "fflags",  with_float, READ(h.csr.fflags), WRITE(h.csr.fflags = v & 31; h.csr.mstatus |= mstatus::kFs)},
    {0x002, "frm",     with_float, READ(h.csr.frm), WRITE(h.csr.frm = v & 7; h.csr.mstatus |= mstatus::kFs)},
    {0x003, "fcsr",    with_float, READ(uint64_t{h.csr.frm} << 5 | h.csr.fflags),
        WRITE(h.csr.fflags = v & 31; h.csr.frm = v >> 5 & 7; h.csr.mstatus |= mstatus::kFs)},
    {0x008, "vstart",  with_vector, READ(h.vector.vstart), WRITE(write_vstart(h, v))},
    {0x009, "vxsat",   with_vector, READ(h.vector.vxsat), WRITE(write_fixed_point(h, h.vector.vxrm, v))},
    {0x00a, "vxrm",    with_vector, READ(h.vector.vxrm), WRITE(write_fixed_point(h, v, h.vector.vxsat))},
    {0x00f, "vcsr",    with_vector, READ(uint64_t{h.vector.vxrm} << 1 | h.vector.vxsat), WRITE(write_fixed_point(h, v >> 1, v))},
    {0xc20, "vl",      with_vector, READ(h.vector.vl), nullptr},
    {0xc21, "vtype",   with_vector, READ(h.vector.vtype), nullptr},
    {0xc22, "vlenb",   with_vector, READ(h.vector.register_bytes()), nullptr},
    {0x015, "seed",    seed_accessible, READ(read_seed(e)), nullptr},
    {0xc00, "cycle",   [](const Hart& h) { return counter_enabled(h, 0); }, READ(read_counter(h, h.csr.mcycle, kCounterCycle)), nullptr},
    {0xc01, "time",    [](const Hart& h) { return counter_enabled(h, 1); }, READ(e.time()), nullptr},
    {0xc02, "instret", [](const Hart& h) { return counter_enabled(h, 2); }, READ(read_counter(h, h.csr.minstret, kCounterInstret)), nullptr},

    {0x100, "sstatus", always, READ(read_mstatus(h) & kSstatusVisible), WRITE(write_mstatus(h, v, kSstatusWritable))},
    {0x104, "sie",     always, READ(h.csr.mie & h.csr.mideleg), WRITE(write_masked(h.csr.mie, v, h.csr.mideleg))},
    {0x105, "stvec",   always, READ(h.csr.stvec), WRITE(write_tvec(h.csr.stvec, v))},
    {0x106, "scounteren", always, READ(h.csr.scounteren), WRITE(h.csr.scounteren = v & kCounterMask)},
    {0x10a, "senvcfg", always, READ(h.csr.senvcfg), WRITE(write_envcfg(h.csr.senvcfg, v, envcfg::kSupervisorMask))},
    {0x140, "sscratch", always, READ(h.csr.sscratch), WRITE(h.csr.sscratch = v)},
    {0x141, "sepc",    always, READ(h.csr.sepc), WRITE(h.csr.sepc = v & ~uint64_t{1})},
    {0x142, "scause",  always, READ(h.csr.scause), WRITE(h.csr.scause = v)},
    {0x143, "stval",   always, READ(h.csr.stval), WRITE(h.csr.stval = v)},
    {0x144, "sip",     always, READ(interrupts_pending(h, e) & h.csr.mideleg),
        WRITE(write_pending(h, v, supervisor_pending_writable(h)))},
    {0x150, "siselect", aia::present, READ(h.csr.siselect), WRITE(h.csr.siselect = v & aia::kSelectMask)},
    {0x151, "sireg",   [](const Hart& h) { return aia::selectable(h, h.csr.siselect); },
        READ(aia::read_selected(*h.interrupt_files.supervisor, h.csr.siselect)),
        WRITE(aia::write_selected(*h.interrupt_files.supervisor, h.csr.siselect, v, kAllBits))},
    {0x15c, "stopei",  aia::present, READ(h.interrupt_files.supervisor->top()), WRITE(aia::claim_top(*h.interrupt_files.supervisor))},
    {0xdb0, "stopi",   aia::present, READ(aia::top_interrupt(interrupts_pending(h, e) & h.csr.mie & h.csr.mideleg)), nullptr},
    {0x14d, "stimecmp", stimecmp_accessible, READ(h.csr.stimecmp), WRITE(h.csr.stimecmp = v)},
    {0x180, "satp",    satp_accessible, READ(h.csr.satp), WRITE(write_satp(h, v))},

    {0xf11, "mvendorid", always, READ(0), nullptr},
    {0xf12, "marchid", always, READ(0), nullptr},
    {0xf13, "mimpid",  always, READ(0), nullptr},
    {0xf14, "mhartid", always, READ(h.id), nullptr},
    {0xf15, "mconfigptr", always, READ(0), nullptr},
    {0x300, "mstatus", always, READ(read_mstatus(h)), WRITE(write_mstatus(h, v, kMstatusWritable))},
    {0x301, "misa",    always, READ(misa(h.vector.present())), nullptr},
    {0x302, "medeleg", always, READ(h.csr.medeleg), WRITE(h.csr.medeleg = v & kMedelegMask)},
    {0x303, "mideleg", always, READ(h.csr.mideleg), WRITE(h.csr.mideleg = v & irq::kSupervisorAll)},
    {0x304, "mie",     always, READ(h.csr.mie), WRITE(h.csr.mie = v & (irq::kSupervisorAll | irq::kMachineAll))},
    {0x305, "mtvec",   always, READ(h.csr.mtvec), WRITE(write_tvec(h.csr.mtvec, v))},
    {0x306, "mcounteren", always, READ(h.csr.mcounteren), WRITE(h.csr.mcounteren = v & kCounterMask)},
    {0x308, "mvien",   aia::present, READ(0), nullptr},
    {0x309, "mvip",    aia::present, READ(h.pending.load() & machine_pending_writable(h)),
        WRITE(write_pending(h, v, machine_pending_writable(h)))},
    {0x30a, "menvcfg", always, READ(h.csr.menvcfg), WRITE(write_envcfg(h.csr.menvcfg, v, envcfg::kMachineMask); h.translation_version++)},
    {0x320, "mcountinhibit", always, READ(h.csr.mcountinhibit), WRITE(write_inhibit(h, v))},
    {0x340, "mscratch", always, READ(h.csr.mscratch), WRITE(h.csr.mscratch = v)},
    {0x341, "mepc",    always, READ(h.csr.mepc), WRITE(h.csr.mepc = v & ~uint64_t{1})},
    {0x342, "mcause",  always, READ(h.csr.mcause), WRITE(h.csr.mcause = v)},
    {0x343, "mtval",   always, READ(h.csr.mtval), WRITE(h.csr.mtval = v)},
    {0x344, "mip",     always, READ(interrupts_pending(h, e)), WRITE(write_pending(h, v, machine_pending_writable(h)))},
    {0x747, "mseccfg", always, READ(h.csr.mseccfg), WRITE(h.csr.mseccfg = v & mseccfg::kMask)},
    {0x350, "miselect", aia::present, READ(h.csr.miselect), WRITE(h.csr.miselect = v & aia::kSelectMask)},
    {0x351, "mireg",   [](const Hart& h) { return aia::selectable(h, h.csr.miselect); },
        READ(aia::read_selected(*h.interrupt_files.machine, h.csr.miselect)),
        WRITE(aia::write_selected(*h.interrupt_files.machine, h.csr.miselect, v, kAllBits))},
    {0x35c, "mtopei",  aia::present, READ(h.interrupt_files.machine->top()), WRITE(aia::claim_top(*h.interrupt_files.machine))},
    {0xfb0, "mtopi",   aia::present, READ(aia::top_interrupt(interrupts_pending(h, e) & h.csr.mie & ~h.csr.mideleg)), nullptr},
    {0xb00, "mcycle",  always, READ(read_counter(h, h.csr.mcycle, kCounterCycle)), WRITE(write_counter(h, h.csr.mcycle, kCounterCycle, v))},
    {0xb02, "minstret", always, READ(read_counter(h, h.csr.minstret, kCounterInstret)), WRITE(write_counter(h, h.csr.minstret, kCounterInstret, v))},
};
// clang-format on
#undef READ
#undef WRITE

// The groups of equal registers: PMP, and the event counters, of which none counts anything (all read 0).
struct Range {
    uint32_t first;
    uint32_t last;
    std::string_view name;
};
constexpr Range kHpmCounters{0xc03, 0xc1f, "hpmcounter"};
constexpr Range kMachineHpmCounters{0xb03, 0xb1f, "mhpmcounter"};
constexpr Range kMachineHpmEvents{0x323, 0x33f, "mhpmevent"};
constexpr Range kPmpConfig{0x3a0, 0x3af, "pmpcfg"};
constexpr Range kPmpAddress{0x3b0, 0x3ef, "pmpaddr"};

constexpr bool in(const Range& range, uint32_t number) {
    return number >= range.first && number <= range.last;
}

const Row* find_row(uint32_t number) {
    static const auto by_number = [] {
        std::array<const Row*, 4096> table{};
        for (const Row& row : kRows) table[row.number] = &row;
        return table;
    }();
    return by_number[number & 0xfff];
}

bool privileged_enough(const Hart& h, uint32_t number) {
    return static_cast<uint32_t>(h.privilege) >= (number >> 8 & 3);
}

bool read_only(uint32_t number) {
    return (number >> 10 & 3) == 3;
}

std::optional<uint64_t> read_group(const Hart& h, uint32_t number) {
    if (in(kHpmCounters, number)) return counter_enabled(h, number & 31) ? std::optional<uint64_t>(0) : std::nullopt;
    if (in(kMachineHpmCounters, number) || in(kMachineHpmEvents, number)) return 0;
    if (in(kPmpConfig, number)) {
        if (number & 1) return std::nullopt;  // RV64 has the even ones only
        return pmp_config(h, number - kPmpConfig.first);
    }
    if (in(kPmpAddress, number)) {
        uint32_t index = number - kPmpAddress.first;
        return index < kPmpEntries ? h.csr.pmpaddr[index] : 0;
    }
    return std::nullopt;
}

bool group_accessible(const Hart& h, uint32_t number) {
    return read_group(h, number).has_value();
}

}  // namespace

std::string_view csr_name(uint32_t number) {
    if (const Row* row = find_row(number)) return row->name;
    static const auto group_names = [] {
        std::array<std::string, 4096> names;
        for (const Range& range : {kHpmCounters, kMachineHpmCounters, kMachineHpmEvents, kPmpConfig, kPmpAddress}) {
            bool by_low_bits = range.name != kPmpConfig.name && range.name != kPmpAddress.name;
            for (uint32_t n = range.first; n <= range.last; n++) {
                names[n] = std::string(range.name) + std::to_string(by_low_bits ? n & 31 : n - range.first);
            }
        }
        return names;
    }();
    return group_names[number & 0xfff];
}

std::optional<uint64_t> csr_read(Hart& hart, const Environment& environment, uint32_t number) {
    if (!privileged_enough(hart, number)) return std::nullopt;
    if (const Row* row = find_row(number)) {
        if (!row->accessible(hart)) return std::nullopt;
        return row->read(hart, environment);
    }
    return read_group(hart, number);
}

bool csr_writable(const Hart& hart, uint32_t number) {
    if (!privileged_enough(hart, number) || read_only(number)) return false;
    if (const Row* row = find_row(number)) return row->accessible(hart);
    return group_accessible(hart, number);
}

bool csr_write(Hart& hart, uint32_t number, uint64_t value) {
    if (!csr_writable(hart, number)) return false;
    if (const Row* row = find_row(number)) {
        if (row->write != nullptr) row->write(hart, value);
    } else if (in(kPmpConfig, number)) {
        pmp_write_config(hart, number - kPmpConfig.first, value);
    } else if (in(kPmpAddress, number)) {
        pmp_write_address(hart, number - kPmpAddress.first, value);
    }
    return true;
}

bool csr_write_interrupts(Hart& hart, uint32_t number, uint64_t value, uint64_t mask) {
    if (!csr_writable(hart, number)) return false;
    bool machine = number != csr_number::kSip;
    write_pending(hart, value, mask & (machine ? machine_pending_writable(hart) : supervisor_pending_writable(hart)));
    return true;
}

uint64_t interrupts_pending(const Hart& hart, const Environment& environment) {
    uint64_t pending = hart.lines.load(std::memory_order_relaxed) | hart.pending.load(std::memory_order_relaxed);
    if (hart.csr.menvcfg & envcfg::kStce) {
        pending &= ~irq::bit(irq::kSupervisorTimer);
        if (environment.time() >= hart.csr.stimecmp) pending |= irq::bit(irq::kSupervisorTimer);
    }
    return pending;
}

std::optional<unsigned> highest_priority(uint64_t interrupts) {
    constexpr unsigned kPriority[] = {irq::kMachineExternal,    irq::kMachineSoftware,    irq::kMachineTimer,
                                      irq::kSupervisorExternal, irq::kSupervisorSoftware, irq::kSupervisorTimer};
    for (unsigned number : kPriority) {
        if (interrupts & irq::bit(number)) return number;
    }
    return std::nullopt;
}

std::optional<unsigned> interrupt_to_take(const Hart& hart, uint64_t pending) {
    uint64_t ready = pending & hart.csr.mie;
    uint64_t machine = ready & ~hart.csr.mideleg;
    uint64_t supervisor = ready & hart.csr.mideleg;
    bool machine_enabled = hart.privilege != Privilege::kMachine || (hart.csr.mstatus & mstatus::kMie);
    bool supervisor_enabled = hart.privilege == Privilege::kUser ||
                              (hart.privilege == Privilege::kSupervisor && (hart.csr.mstatus & mstatus::kSie));
    if (machine_enabled && machine != 0) return highest_priority(machine);
    if (supervisor_enabled && supervisor != 0) return highest_priority(supervisor);
    return std::nullopt;
}

void Hart::make_legal() {
    x[0] = 0;
    vector.make_legal();
    pc &= ~uint64_t{1};
    if (privilege != Privilege::kUser && privilege != Privilege::kSupervisor) privilege = Privilege::kMachine;
    uint64_t status = csr.mstatus, machine_config = csr.menvcfg, supervisor_config = csr.senvcfg;
    csr.mstatus = ControlRegisters{}.mstatus, csr.menvcfg = csr.senvcfg = 0;
    write_mstatus(*this, status, kMstatusWritable);
    write_envcfg(csr.menvcfg, machine_config, envcfg::kMachineMask);
    write_envcfg(csr.senvcfg, supervisor_config, envcfg::kSupervisorMask);
    csr.medeleg &= kMedelegMask, csr.mideleg &= irq::kSupervisorAll;
    csr.mie &= irq::kSupervisorAll | irq::kMachineAll;
    csr.mtvec &= ~uint64_t{2}, csr.stvec &= ~uint64_t{2};
    csr.mepc &= ~uint64_t{1}, csr.sepc &= ~uint64_t{1};
    csr.mcounteren &= kCounterMask, csr.scounteren &= kCounterMask, csr.mcountinhibit &= kInhibitMask;
    if (!supported_satp(csr.satp)) csr.satp = 0;
    csr.mseccfg &= mseccfg::kMask;
    csr.miselect &= aia::kSelectMask, csr.siselect &= aia::kSelectMask;
    csr.fflags &= 31, csr.frm &= 7;
    pmp_make_legal(csr);
    lines.fetch_and(irq::kSupervisorAll | irq::kMachineAll), pending.fetch_and(irq::kSupervisorAll);
    reservation.bytes = 0;
    translation_version++;
}

}  // namespace doppel::isa::riscv
