#include <fmt/format.h>

#include "isa/riscv/csr.h"
#include "isa/riscv/decode.h"

namespace doppel::isa::riscv {

namespace {

constexpr std::string_view kIntegerNames[] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                              "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                              "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
constexpr std::string_view kFloatNames[] = {
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};
constexpr std::string_view kRoundingNames[] = {"rne", "rtz", "rdn", "rup", "rmm", "reserved5", "reserved6", "dyn"};

std::string fence_set(uint32_t set) {
    std::string text;
    if (set & 8) text += 'i';
    if (set & 4) text += 'o';
    if (set & 2) text += 'r';
    if (set & 1) text += 'w';
    return text.empty() ? "0" : text;
}

std::string csr_text(uint32_t number) {
    std::string_view name = csr_name(number);
    return name.empty() ? fmt::format("{:#x}", number) : std::string(name);
}

std::string vector_name(uint8_t number) {
    return fmt::format("v{}", number);
}

// "e32, m1, ta, ma"; a number when a field is reserved.
std::string vtype_text(uint32_t type) {
    constexpr std::string_view kGroups[] = {"m1", "m2", "m4", "m8", "", "mf8", "mf4", "mf2"};
    uint32_t group = type & 7, width = type >> 3 & 7;
    constexpr uint32_t kReservedGroup = 4, kLargestWidth = 3;
    if (group == kReservedGroup || width > kLargestWidth || type > 0xff) return fmt::format("{}", type);
    return fmt::format("e{}, {}, {}, {}", 8u << width, kGroups[group], type & 0x40 ? "ta" : "tu",
                       type & 0x80 ? "ma" : "mu");
}

// Segments' mnemonics: "vle8.v" with three fields is "vlseg3e8.v".
std::string with_fields(std::string_view name, unsigned fields) {
    size_t at = name.find('e');
    return fmt::format("{}seg{}{}", name.substr(0, at), fields, name.substr(at));
}

std::string operand(char kind, const Operands& o, uint64_t pc) {
    switch (kind) {
        case 'd':
            return std::string(kIntegerNames[o.rd]);
        case '1':
            return std::string(kIntegerNames[o.rs1]);
        case '2':
            return std::string(kIntegerNames[o.rs2]);
        case 'D':
            return std::string(kFloatNames[o.rd]);
        case 'S':
            return std::string(kFloatNames[o.rs1]);
        case 'T':
            return std::string(kFloatNames[o.rs2]);
        case 'U':
            return std::string(kFloatNames[o.rs3()]);
        case 'i':
            return fmt::format("{}", o.imm);
        case 'u':
            return fmt::format("{:#x}", static_cast<uint32_t>(o.imm) >> 12);
        case 't':
            return fmt::format("{:#x}", pc + static_cast<uint64_t>(static_cast<int64_t>(o.imm)));
        case 'c':
            return csr_text(static_cast<uint32_t>(o.imm));
        case 'z':
            return fmt::format("{}", o.rs1);
        case 'p':
            return fence_set(static_cast<uint32_t>(o.imm) >> 4 & 15);
        case 'q':
            return fence_set(static_cast<uint32_t>(o.imm) & 15);
        case 'V':
            return vector_name(o.rd);
        case 'W':
            return vector_name(o.rs1);
        case 'Y':
            return vector_name(o.rs2);
        case 'M':
            return VectorFields::masked(o) ? ", v0.t" : "";
        case 's':
            return fmt::format("{}", sign_extend(o.rs1, 5));
        case 'v':
            return vtype_text(static_cast<uint32_t>(o.imm));
        case 'm':
            return o.rm() == 7 ? "" : fmt::format(", {}", kRoundingNames[o.rm()]);
        default:
            return {};
    }
}

constexpr std::string_view kOrderSuffix[] = {"", ".rl", ".aq", ".aqrl"};

}  // namespace

std::string_view integer_register_name(unsigned number) {
    return kIntegerNames[number & 31];
}

std::string_view float_register_name(unsigned number) {
    return kFloatNames[number & 31];
}

std::string disassemble(uint32_t insn, uint64_t pc) {
    Decoded decoded = decode(insn);
    if (decoded.id == InstructionId::k_illegal) {
        return decoded.length == 4 ? fmt::format(".4byte {:#010x}", insn)
                                   : fmt::format(".2byte {:#06x}", insn & 0xffff);
    }
    const InstructionInfo& one = info(decoded.id);
    std::string text(one.name);
    if (one.extension == "A") text += kOrderSuffix[decoded.operands.imm & 3];
    bool has_fields = std::string_view(one.operands->syntax).ends_with("%N");
    if (unsigned more = has_fields ? VectorFields::segment(decoded.operands) : 0) text = with_fields(text, more + 1);
    if (one.operands->syntax[0] != '\0') text += ' ';
    for (const char* c = one.operands->syntax; *c != '\0'; c++) {
        if (*c == '%') {
            text += operand(*++c, decoded.operands, pc);
        } else {
            text += *c;
        }
    }
    return text;
}

}  // namespace doppel::isa::riscv
