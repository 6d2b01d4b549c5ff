#include "legality.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "assembly.h"
#include "generate.h"

namespace doppel::differential {

namespace riscv = isa::riscv;
using riscv::InstructionId;

namespace {

constexpr uint32_t kT0 = 5, kT1 = 6, kTypeRegister = 7, kBaseRegister = 19, kStrideRegister = 20;
constexpr uint32_t kRd = 31u << 7, kRs1 = 31u << 15, kRs2 = 31u << 20;
constexpr uint32_t kIllegalType = 4;  // LMUL has no such value

uint32_t with_field(uint32_t bits, uint32_t mask, uint32_t value) {
    uint32_t lowest = mask & -mask;
    return (bits & ~mask) | (value * lowest & mask);
}

// SEW and LMUL as vtype has them, SEW <= LMUL * ELEN.
std::vector<uint32_t> legal_types() {
    std::vector<uint32_t> types;
    for (int width = 0; width < 4; width++) {
        for (int group = -3; group < 4; group++) {
            if (width <= 3 + std::min(group, 0))
                types.push_back(static_cast<uint32_t>(width) << 3 | (static_cast<uint32_t>(group) & 7));
        }
    }
    return types;
}

bool writes_integer(const riscv::InstructionInfo& line) {
    return std::string_view(line.operands->syntax).starts_with("%d");
}
bool is_memory(const riscv::InstructionInfo& line) {
    return std::string_view(line.operands->syntax).find("(%1)") != std::string_view::npos;
}

class CaseGenerator {
  public:
    explicit CaseGenerator(Random& random) : random_(random) {}

    Case of_table(InstructionId id, uint32_t type) {
        Case made = state(type);
        const riscv::InstructionInfo& line = riscv::info(id);
        uint32_t bits = (random_.bits32() & ~line.mask) | line.match;
        bits = with_registers(bits, line.mask);
        if (is_memory(line)) {
            bits = with_field(bits, kRs1, kBaseRegister);
            if (line.operands == &riscv::formats::VStrided) bits = with_field(bits, kRs2, kStrideRegister);
            if (line.operands == &riscv::formats::VIndexed) made.length = 0;  // whose indices are anything
            // QEMU 10 aborts where whole registers start behind their end.
            if (line.operands == &riscv::formats::VWhole) made.start &= 1;
        }
        if (writes_integer(line)) bits = with_field(bits, kRd, harmless_register());
        if (line.name == "vsetvl") bits = with_field(bits, kRs2, kTypeRegister);
        made.instruction = bits;
        return made;
    }

    Case of_encoding() {
        constexpr uint32_t kOpcodes[] = {0x57, 0x57, 0x57, 0x07, 0x27};
        constexpr uint32_t kVectorWidths[] = {0, 5, 6, 7};
        constexpr uint32_t kWidth = 7u << 12;
        Case made = state(random_.pick<uint32_t>(types_));
        uint32_t bits = with_field(random_.bits32(), 0x7f, random_.pick<uint32_t>(kOpcodes));
        if ((bits & 0x7f) == 0x57) {
            bits = with_field(bits, kRd, random_.one_in(2) ? 0 : harmless_register());
            // What vsetvl finds in registers must not be an address.
            if ((bits & kWidth) == kWidth) bits = with_field(bits, kRs1, harmless_register());
            if (riscv::decode(bits).id == InstructionId::k_vsetvl) bits = with_field(bits, kRs2, kTypeRegister);
        } else {
            bits = with_field(bits, kWidth, random_.pick<uint32_t>(kVectorWidths));
            bits = with_field(with_registers(bits, 0), kRs1, kBaseRegister);
            if (random_.one_in(2)) bits = with_field(bits, kRs2, static_cast<uint32_t>(random_.below(2) * 8));
            made.length = 0, made.start = 0;
        }
        made.instruction = bits;
        return made;
    }

  private:
    Case state(uint32_t type) {
        constexpr uint32_t kPolicies = 3u << 6;
        constexpr uint32_t kLengths[] = {0, 1, 2, 5, 31, 2000};
        Case made{};
        made.type = type | (random_.bits32() & kPolicies);
        made.length = random_.pick<uint32_t>(kLengths);
        made.next_type =
            static_cast<uint32_t>(random_.one_in(2) ? random_.pick<uint32_t>(types_) : random_.below(1 << 11));
        if (random_.one_in(4)) made.start = static_cast<uint8_t>(random_.between(1, random_.one_in(4) ? 31 : 3));
        if (random_.one_in(8)) made.rounding = static_cast<uint8_t>(random_.between(1, 7));
        return made;
    }
    // Registers near each other, and as often multiples of group sizes as not.
    uint32_t with_registers(uint32_t bits, uint32_t fixed) {
        uint32_t near = random_.bits32() & 24;
        for (uint32_t field : {kRd, kRs1, kRs2}) {
            if ((fixed & field) != 0) continue;
            uint32_t number = random_.bits32() & 31;
            if (!random_.one_in(4)) number = near | (number & 7);
            constexpr uint32_t kMultiples[] = {1, 1, 2, 4, 8};
            number &= ~(random_.pick<uint32_t>(kMultiples) - 1);
            bits = with_field(bits, field, random_.one_in(8) ? 0 : number);
        }
        return bits;
    }
    uint32_t harmless_register() {
        constexpr uint32_t kHarmless[] = {0, kT0, kT1};
        return random_.pick<uint32_t>(kHarmless);
    }

    Random& random_;
    std::vector<uint32_t> types_ = legal_types();
};

// Writes the Verdict: a0 holds the signal. Returns through t6.
uint64_t emit_record(Assembly& a) {
    uint64_t start = a.here();
    a.line("sd a0, 0(sp)");
    int at = 0;
    for (std::string_view name : {"vl", "vtype", "vstart"}) {
        a.line("csrrs t0, {}, zero", name);
        a.line("sd t0, {}(sp)", at += 8);
    }
    a.line("addi a7, zero, {}", kSystemCallWrite);
    a.line("addi a0, zero, 1");
    a.line("addi a1, sp, 0");
    a.line("addi a2, zero, {}", sizeof(Verdict));
    a.line("ecall");
    a.line("jalr zero, 0(t6)");
    return start;
}

// Forgets what the signal interrupted and goes to s1.
uint64_t emit_handler(Assembly& a) {
    uint64_t start = a.here();
    a.line("lui sp, {:#x}", kStackPointer >> 12);
    a.line("jalr zero, 0(s1)");
    return start;
}

void emit_set_handlers(Assembly& a, uint64_t handler) {
    constexpr uint64_t kNoDefer = 0x40000000;
    a.constant("t0", handler);
    a.line("sd t0, 0(sp)");
    a.constant("t0", kNoDefer);
    a.line("sd t0, 8(sp)");
    for (uint64_t signal : {kSignalIllegal, kSignalSegmentation}) {
        a.line("addi a7, zero, {}", kSystemCallSigaction);
        a.line("addi a0, zero, {}", signal);
        a.line("addi a1, sp, 0");
        a.line("addi a2, zero, 0");
        a.line("addi a3, zero, 8");
        a.line("ecall");
    }
}

void emit_case(Assembly& a, const Case& one, uint64_t record) {
    a.constant("t0", one.length);
    a.constant("t1", one.type);
    a.constant("t2", one.next_type);
    a.line("vsetvl zero, t0, t1");
    a.line("csrrwi zero, frm, {}", one.rounding);
    a.line("addi a0, zero, 0");
    a.line("csrrwi zero, vstart, {}", one.start);
    a.line("auipc s1, 0");
    a.line("addi s1, s1, 12");
    a.put(one.instruction);
    a.line("jal t6, {:#x}", record);
}

Program program_of(std::span<const Case> cases, unsigned vector_bits) {
    constexpr uint64_t kFirstLines = 32;
    Assembly a(kTextBase);
    a.line("lui sp, {:#x}", kStackPointer >> 12);
    a.line("addi s3, sp, 256");
    a.line("addi s4, zero, 8");
    a.line("jal zero, {:#x}", kTextBase + kFirstLines * 4);
    while (a.here() < kTextBase + 4 * 4) a.line("ebreak");
    uint64_t record = emit_record(a);
    uint64_t handler = emit_handler(a);
    while (a.here() < kTextBase + kFirstLines * 4) a.line("ebreak");
    emit_set_handlers(a, handler);
    for (const Case& one : cases) emit_case(a, one, record);
    a.line("addi a7, zero, {}", kSystemCallExit);
    a.line("addi a0, zero, 0");
    a.line("ecall");
    Program program;
    program.text = a.take();
    program.inputs.resize(8);  // there are none; memory is not empty
    program.vector_bits = vector_bits;
    return program;
}

Result<std::vector<Verdict>> verdicts_of(const Output& output, std::span<const Case> cases, const char* whose) {
    std::vector<Verdict> verdicts(output.bytes.size() / sizeof(Verdict));
    if (!verdicts.empty()) std::memcpy(verdicts.data(), output.bytes.data(), verdicts.size() * sizeof(Verdict));
    if (verdicts.size() == cases.size() && output.trouble.empty()) return verdicts;
    std::string at = verdicts.size() < cases.size()
                         ? fmt::format(", case {}", describe(cases[verdicts.size()], Verdict{}, Verdict{}))
                         : "";
    return fail(Error{.failed = "judge instructions",
                      .subject = whose,
                      .why = fmt::format("{} of {} came to an end, {}{}", verdicts.size(), cases.size(),
                                         output.trouble.empty() ? "then it ended" : output.trouble, at)});
}

std::string describe(const Verdict& verdict) {
    if (verdict.signal != 0) return verdict.illegal() ? "illegal" : fmt::format("signal {}", verdict.signal);
    return fmt::format("vl {} vtype {:#x} vstart {}", verdict.vl, verdict.vtype, verdict.vstart);
}

}  // namespace

std::vector<Case> cases_of_table(Random& random, unsigned each) {
    CaseGenerator generator(random);
    std::vector<uint32_t> types = legal_types();
    types.push_back(kIllegalType);
    std::vector<Case> cases;
    for (size_t i = 0; i + 1 < riscv::kInstructionCount; i++) {
        auto id = static_cast<InstructionId>(i);
        if (riscv::info(id).extension != "V") continue;
        for (uint32_t type : types) {
            for (unsigned n = 0; n < each; n++) cases.push_back(generator.of_table(id, type));
        }
    }
    return cases;
}

std::vector<Case> cases_of_encodings(Random& random, uint64_t count) {
    CaseGenerator generator(random);
    std::vector<Case> cases;
    while (cases.size() < count) cases.push_back(generator.of_encoding());
    return cases;
}

Result<Verdicts> judge(const std::string& qemu, const cpu::Engine& engine, std::span<const Case> cases,
                       unsigned vector_bits) {
    // As many as the jumps to the program's start reach over.
    constexpr size_t kBatch = 10000;
    Verdicts all;
    for (size_t first = 0; first < cases.size(); first += kBatch) {
        auto batch = cases.subspan(first, std::min(kBatch, cases.size() - first));
        Program program = program_of(batch, vector_bits);
        Limits limits;
        limits.all = 100 * (batch.size() + 1);
        DOPPEL_TRY(Output in_reference, run_in_qemu(qemu, program));
        DOPPEL_TRY(Output in_engine, run_in_engine(engine, program, limits));
        DOPPEL_TRY(auto reference, verdicts_of(in_reference, batch, "qemu"));
        DOPPEL_TRY(auto judged, verdicts_of(in_engine, batch, "the engine"));
        all.reference.insert(all.reference.end(), reference.begin(), reference.end());
        all.engine.insert(all.engine.end(), judged.begin(), judged.end());
    }
    return all;
}

std::string describe(const Case& one, const Verdict& reference, const Verdict& engine) {
    return fmt::format("{:08x} {:<32} vtype {:#04x} vl {:<4} vstart {:<2} frm {} type in t2 {:#x}: qemu {}, engine {}",
                       one.instruction, riscv::disassemble(one.instruction, 0), one.type, one.length, one.start,
                       one.rounding, one.next_type, describe(reference), describe(engine));
}

}  // namespace doppel::differential
