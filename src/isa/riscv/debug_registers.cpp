#include "isa/riscv/debug_registers.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/byte_order.h"
#include "isa/riscv/csr.h"
#include "isa/riscv/decode.h"
#include "isa/riscv/mmu.h"
#include "isa/riscv/vector.h"

namespace doppel::isa::riscv {

namespace {

constexpr uint32_t kCsrNumbers = 4096;

bool is_float_control(uint32_t csr) {
    return csr == csr_number::kFflags || csr == csr_number::kFrm || csr == csr_number::kFcsr;
}

bool is_vector_control(uint32_t csr) {
    return (csr >= csr_number::kVstart && csr <= csr_number::kVcsr) ||
           (csr >= csr_number::kVl && csr <= csr_number::kVlenb);
}

// Numbers that have a name but no register: the odd pmpcfg of RV64.
bool exists(uint32_t csr) {
    constexpr uint32_t kPmpConfigs = 16;
    bool pmp_config = csr >= csr_number::kPmpcfg0 && csr < csr_number::kPmpcfg0 + kPmpConfigs;
    return !csr_name(csr).empty() && !(pmp_config && csr % 2 != 0);
}

// M-mode with floating point and vectors on, for as long as a control register is looked at.
class Insight {
  public:
    Insight(Hart& hart, uint32_t csr)
        : hart_(hart), privilege_(std::exchange(hart.privilege, Privilege::kMachine)), turned_on_(off_unit(hart, csr)) {
        hart_.csr.mstatus |= turned_on_;
    }
    ~Insight() {
        hart_.privilege = privilege_;
        hart_.csr.mstatus &= ~turned_on_;
    }
    Insight(const Insight&) = delete;
    Insight& operator=(const Insight&) = delete;

  private:
    // The field of mstatus that would keep the register away.
    static uint64_t off_unit(const Hart& hart, uint32_t csr) {
        if (is_float_control(csr) && !hart.float_enabled()) return mstatus::kFs;
        if (is_vector_control(csr) && hart.vector.present() && !vector::enabled(hart)) return mstatus::kVs;
        return 0;
    }

    Hart& hart_;
    Privilege privilege_;
    uint64_t turned_on_;
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

// A register as elements of each width, by the names that other RISC-V targets give them.
std::string vector_type(unsigned bits) {
    struct Element {
        const char* name;
        const char* vector;
        const char* field;
        unsigned bits;
    };
    constexpr Element kElements[] = {{"uint8", "bytes", "b", 8},
                                     {"uint16", "shorts", "s", 16},
                                     {"uint32", "words", "w", 32},
                                     {"uint64", "longs", "l", 64},
                                     {"uint128", "quads", "q", 128}};
    std::string vectors, fields;
    for (const Element& element : kElements) {
        vectors += fmt::format("<vector id=\"{}\" type=\"{}\" count=\"{}\"/>\n", element.vector, element.name,
                               bits / element.bits);
        fields += fmt::format("<field name=\"{}\" type=\"{}\"/>", element.field, element.vector);
    }
    return vectors + "<union id=\"riscv_vector\">" + fields + "</union>\n";
}

constexpr std::string_view kFloatType =
    "<union id=\"riscv_double\"><field name=\"float\" type=\"ieee_single\"/>"
    "<field name=\"double\" type=\"ieee_double\"/></union>\n";

}  // namespace

DebugRegisters::DebugRegisters(unsigned vector_bits) : vector_bits_(vector_bits) {
    constexpr unsigned kFile = 32;
    for (unsigned n = 0; n < kFile; n++) rows_.push_back({Group::kInteger, n, std::string(integer_register_name(n))});
    rows_.push_back({Group::kPc, 0, "pc"});
    for (unsigned n = 0; n < kFile; n++) rows_.push_back({Group::kFloat, n, std::string(float_register_name(n))});
    for (bool of_float : {true, false}) {
        for (uint32_t csr = 0; csr < kCsrNumbers; csr++) {
            if (!exists(csr) || is_float_control(csr) != of_float) continue;
            if (is_vector_control(csr) && vector_bits == 0) continue;
            rows_.push_back({of_float ? Group::kFloatControl : Group::kControl, csr, std::string(csr_name(csr))});
        }
    }
    rows_.push_back({Group::kPrivilege, 0, "priv"});
    for (unsigned n = 0; n < VectorState::kRegisters && vector_bits != 0; n++)
        rows_.push_back({Group::kVector, n, fmt::format("v{}", n)});
}

std::string_view DebugRegisters::feature_of(Group group) {
    switch (group) {
        case Group::kInteger:
        case Group::kPc:
            return "cpu";
        case Group::kFloat:
        case Group::kFloatControl:
            return "fpu";
        case Group::kControl:
            return "csr";
        case Group::kPrivilege:
            return "virtual";
        case Group::kVector:
            break;
    }
    return "vector";
}

std::string DebugRegisters::attributes_of(const Row& row) {
    switch (row.group) {
        case Group::kInteger:
        case Group::kPc:
            break;
        case Group::kFloat:
            return R"(type="riscv_double" group="float")";
        case Group::kFloatControl:
            return R"(type="int" group="float")";
        case Group::kControl:
            // Not to be put back by GDB after a function call that it made.
            return R"(type="int" save-restore="no" group="csr")";
        case Group::kPrivilege:
            return R"(type="int" save-restore="no" group="general")";
        case Group::kVector:
            return R"(type="riscv_vector" group="vector")";
    }
    return fmt::format(R"(type="{}" group="general")", type_of(row.name));
}

std::string DebugRegisters::description() const {
    std::string text =
        "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
        "<architecture>riscv:rv64</architecture>\n";
    std::string_view feature;
    for (size_t number = 0; number < rows_.size(); number++) {
        const Row& row = rows_[number];
        if (std::string_view next = feature_of(row.group); next != feature) {
            if (!feature.empty()) text += "</feature>\n";
            text += fmt::format("<feature name=\"org.gnu.gdb.riscv.{}\">\n", next);
            if (row.group == Group::kFloat) text += kFloatType;
            if (row.group == Group::kVector) text += vector_type(vector_bits_);
            feature = next;
        }
        text += fmt::format("<reg name=\"{}\" bitsize=\"{}\" regnum=\"{}\" {}/>\n", row.name, 8 * bytes(number), number,
                            attributes_of(row));
    }
    return text + "</feature>\n</target>\n";
}

std::optional<std::string> DebugRegisters::read(Hart& hart, const Environment& environment, size_t number) const {
    const Row& row = rows_[number];
    std::string value(bytes(number), '\0');
    if (row.group == Group::kVector) {
        if (hart.vector.register_bytes() != value.size()) return std::nullopt;
        std::memcpy(value.data(), &hart.vector.registers[row.index * value.size()], value.size());
        return value;
    }
    auto scalar = read_scalar(hart, environment, row);
    if (!scalar) return std::nullopt;
    store_le(reinterpret_cast<uint8_t*>(value.data()), *scalar);
    return value;
}

bool DebugRegisters::write(Hart& hart, size_t number, std::string_view value) const {
    const Row& row = rows_[number];
    if (value.size() != bytes(number)) return false;
    if (row.group != Group::kVector)
        return write_scalar(hart, row, load_le<uint64_t>(reinterpret_cast<const uint8_t*>(value.data())));
    if (hart.vector.register_bytes() != value.size()) return false;
    std::memcpy(&hart.vector.registers[row.index * value.size()], value.data(), value.size());
    return true;
}

std::optional<uint64_t> DebugRegisters::read_scalar(Hart& hart, const Environment& environment, const Row& row) const {
    switch (row.group) {
        case Group::kInteger:
            return row.index == 0 ? 0 : hart.x[row.index];
        case Group::kPc:
            return hart.pc;
        case Group::kFloat:
            return hart.f[row.index];
        case Group::kPrivilege:
            return static_cast<uint64_t>(hart.privilege);
        default:
            break;
    }
    Insight insight(hart, row.index);
    return csr_read(hart, environment, row.index);
}

bool DebugRegisters::write_scalar(Hart& hart, const Row& row, uint64_t value) const {
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
        default:
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
