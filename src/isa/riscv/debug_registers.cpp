#include "isa/riscv/debug_registers.h"

#include <fmt/format.h>

#include <utility>

#include "isa/riscv/csr.h"
#include "isa/riscv/decode.h"
#include "isa/riscv/mmu.h"

namespace doppel::isa::riscv {

namespace {

constexpr uint32_t kCsrNumbers = 4096;

bool is_float_control(uint32_t csr) {
    return csr == csr_number::kFflags || csr == csr_number::kFrm || csr == csr_number::kFcsr;
}

// Numbers that have a name but no register: the odd pmpcfg of RV64.
bool exists(uint32_t csr) {
    constexpr uint32_t kPmpConfigs = 16;
    bool pmp_config = csr >= csr_number::kPmpcfg0 && csr < csr_number::kPmpcfg0 + kPmpConfigs;
    return !csr_name(csr).empty() && !(pmp_config && csr % 2 != 0);
}

// M-mode with floating point on, for as long as a control register is looked at.
class Insight {
  public:
    Insight(Hart& hart, uint32_t csr)
        : hart_(hart),
          privilege_(std::exchange(hart.privilege, Privilege::kMachine)),
          float_was_off_(is_float_control(csr) && !hart.float_enabled()) {
        if (float_was_off_) hart.csr.mstatus |= mstatus::kFs;
    }
    ~Insight() {
        hart_.privilege = privilege_;
        if (float_was_off_) hart_.csr.mstatus &= ~mstatus::kFs;
    }
    Insight(const Insight&) = delete;
    Insight& operator=(const Insight&) = delete;

  private:
    Hart& hart_;
    Privilege privilege_;
    bool float_was_off_;
};

// The counters count the instruction that writes them; a debugger's write is no instruction.
bool counts_its_write(uint32_t csr) {
    constexpr uint32_t kMcycle = 0xb00, kMinstret = 0xb02;
    return csr == kMcycle || csr == kMinstret;
}

std::string_view type_of(std::string_view name) {
    if (name == "pc" || name == "ra") return "code_ptr";
    if (name == "sp" || name == "gp" || name == "tp") return "data_ptr";
    return "int";
}

}  // namespace

DebugRegisters::DebugRegisters() {
    constexpr unsigned kFile = 32;
    for (unsigned n = 0; n < kFile; n++) rows_.push_back({Group::kInteger, n, std::string(integer_register_name(n))});
    rows_.push_back({Group::kPc, 0, "pc"});
    for (unsigned n = 0; n < kFile; n++) rows_.push_back({Group::kFloat, n, std::string(float_register_name(n))});
    for (bool of_float : {true, false}) {
        for (uint32_t csr = 0; csr < kCsrNumbers; csr++) {
            if (!exists(csr) || is_float_control(csr) != of_float) continue;
            rows_.push_back({of_float ? Group::kFloatControl : Group::kControl, csr, std::string(csr_name(csr))});
        }
    }
    rows_.push_back({Group::kPrivilege, 0, "priv"});
}

std::string DebugRegisters::description() const {
    std::string text =
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
        "<architecture>riscv:rv64</architecture>\n";
    std::string_view feature;
    auto enter = [&](std::string_view name) {
        if (feature == name) return;
        if (!feature.empty()) text += "</feature>\n";
        text += fmt::format("<feature name=\"org.gnu.gdb.riscv.{}\">\n", name);
        if (name == "fpu") {
            text +=
                "<union id=\"riscv_double\"><field name=\"float\" type=\"ieee_single\"/>"
                "<field name=\"double\" type=\"ieee_double\"/></union>\n";
        }
        feature = name;
    };
    for (size_t number = 0; number < rows_.size(); number++) {
        const Row& row = rows_[number];
        std::string_view attributes;
        switch (row.group) {
            case Group::kInteger:
            case Group::kPc:
                enter("cpu");
                break;
            case Group::kFloat:
                enter("fpu");
                attributes = R"( type="riscv_double" group="float")";
                break;
            case Group::kFloatControl:
                enter("fpu");
                attributes = R"( type="int" group="float")";
                break;
            case Group::kControl:
                // Not to be put back by GDB after a function call that it made.
                enter("csr");
                attributes = R"( type="int" save-restore="no" group="csr")";
                break;
            case Group::kPrivilege:
                enter("virtual");
                attributes = R"( type="int" save-restore="no" group="general")";
                break;
        }
        std::string general = fmt::format(R"( type="{}" group="general")", type_of(row.name));
        text += fmt::format("<reg name=\"{}\" bitsize=\"64\" regnum=\"{}\"{}/>\n", row.name, number,
                            attributes.empty() ? general : attributes);
    }
    return text + "</feature>\n</target>\n";
}

std::optional<uint64_t> DebugRegisters::read(Hart& hart, const Environment& environment, size_t number) const {
    const Row& row = rows_[number];
    switch (row.group) {
        case Group::kInteger:
            return row.index == 0 ? 0 : hart.x[row.index];
        case Group::kPc:
            return hart.pc;
        case Group::kFloat:
            return hart.f[row.index];
        case Group::kPrivilege:
            return static_cast<uint64_t>(hart.privilege);
        case Group::kFloatControl:
        case Group::kControl:
            break;
    }
    Insight insight(hart, row.index);
    return csr_read(hart, environment, row.index);
}

bool DebugRegisters::write(Hart& hart, size_t number, uint64_t value) const {
    const Row& row = rows_[number];
    switch (row.group) {
        case Group::kInteger:
            if (row.index == 0) return value == 0;
            hart.x[row.index] = value;
            return true;
        case Group::kPc:
            hart.pc = value & ~uint64_t{1};
            return true;
        case Group::kFloat:
            hart.f[row.index] = value;
            return true;
        case Group::kPrivilege:
            if (value != 0 && value != 1 && value != 3) return false;
            hart.privilege = static_cast<Privilege>(value);
            return true;
        case Group::kFloatControl:
        case Group::kControl:
            break;
    }
    Insight insight(hart, row.index);
    uint64_t own_count = counts_its_write(row.index) ? 1 : 0;
    hart.retired -= own_count;
    bool written = csr_write(hart, row.index, value);
    hart.retired += own_count;
    return written;
}

}  // namespace doppel::isa::riscv
