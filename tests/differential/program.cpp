#include "program.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "assembly.h"
#include "generate.h"
#include "isa/riscv/decode.h"

namespace doppel::differential {

namespace {

// Offsets from sp of the parts of the State, and of the harness's own variables before it.
constexpr int kStateAt = -kScratchBelow;
constexpr int kXAt = kScratchAbove;
constexpr int kFAt = kXAt + 32 * 8;
constexpr int kFcsrAt = kFAt + 32 * 8;
constexpr int kLengthAt = kFcsrAt + 8, kTypeAt = kLengthAt + 8, kStartAt = kTypeAt + 8, kVcsrAt = kStartAt + 8;
constexpr int kVectorsAt = kVcsrAt + 8;
constexpr int kNextInputAt = kStateAt - 8;
constexpr int kPassesLeftAt = kNextInputAt - 8;

std::string_view x_name(unsigned n) {
    return isa::riscv::integer_register_name(n);
}
std::string_view f_name(unsigned n) {
    return isa::riscv::float_register_name(n);
}

// All vector registers, eight at a time; changes t1.
void emit_vectors(Assembly& a, std::string_view instruction, unsigned vector_bits) {
    a.line("addi t1, sp, {}", kVectorsAt);
    for (unsigned n = 0; n < 32; n += 8) {
        a.line("{} v{}, (t1)", instruction, n);
        a.line("addi t1, t1, {}", vector_bits);
    }
}

void emit_prepare_vectors(Assembly& a, unsigned vector_bits) {
    emit_vectors(a, "vl8re8.v", vector_bits);
    a.line("ld t0, {}(sp)", kLengthAt);
    a.line("ld t1, {}(sp)", kTypeAt);
    a.line("vsetvl zero, t0, t1");
    a.line("ld t0, {}(sp)", kVcsrAt);
    a.line("csrrw zero, vcsr, t0");
}

void emit_finish_vectors(Assembly& a, unsigned vector_bits) {
    constexpr std::pair<std::string_view, int> kRegisters[] = {
        {"vl", kLengthAt}, {"vtype", kTypeAt}, {"vstart", kStartAt}, {"vcsr", kVcsrAt}};
    for (auto [name, at] : kRegisters) {
        a.line("csrrs t0, {}, zero", name);
        a.line("sd t0, {}(sp)", at);
    }
    a.line("csrrw zero, vstart, zero");
    emit_vectors(a, "vs8r.v", vector_bits);
}

// Copies the next input to the scratch memory and loads all registers but ra, which is the return address.
uint64_t emit_prepare(Assembly& a, unsigned vector_bits) {
    uint64_t start = a.here();
    a.line("ld t0, {}(sp)", kNextInputAt);
    a.line("addi t1, sp, {}", kStateAt);
    a.constant("t2", state_bytes(vector_bits));
    a.line("add t2, t2, t0");
    uint64_t loop = a.here();
    a.line("ld t3, 0(t0)");
    a.line("sd t3, 0(t1)");
    a.line("addi t0, t0, 8");
    a.line("addi t1, t1, 8");
    a.line("bne t0, t2, {:#x}", loop);
    a.line("sd t0, {}(sp)", kNextInputAt);
    a.line("ld t0, {}(sp)", kFcsrAt);
    a.line("csrrw zero, fcsr, t0");
    if (vector_bits != 0) emit_prepare_vectors(a, vector_bits);
    for (unsigned n = 0; n < 32; n++) a.line("fld {}, {}(sp)", f_name(n), kFAt + 8 * static_cast<int>(n));
    for (unsigned n = 3; n < 32; n++) a.line("ld {}, {}(sp)", x_name(n), kXAt + 8 * static_cast<int>(n));
    a.line("jalr zero, 0(ra)");
    return start;
}

// Stores all registers but ra and writes the State.
uint64_t emit_finish(Assembly& a, unsigned vector_bits) {
    uint64_t start = a.here();
    for (unsigned n = 3; n < 32; n++) a.line("sd {}, {}(sp)", x_name(n), kXAt + 8 * static_cast<int>(n));
    for (unsigned n = 0; n < 32; n++) a.line("fsd {}, {}(sp)", f_name(n), kFAt + 8 * static_cast<int>(n));
    a.line("csrrs t0, fcsr, zero");
    a.line("sd t0, {}(sp)", kFcsrAt);
    if (vector_bits != 0) emit_finish_vectors(a, vector_bits);
    a.line("addi a7, zero, {}", kSystemCallWrite);
    a.line("addi a0, zero, 1");
    a.line("addi a1, sp, {}", kStateAt);
    a.constant("a2", state_bytes(vector_bits));
    a.line("ecall");
    a.line("jalr zero, 0(ra)");
    return start;
}

uint64_t size_of(const Unit& unit) {
    uint64_t size = 0;
    for (const Instruction& instruction : unit) size += isa::riscv::length_of(instruction.bits);
    return size;
}

// The sequence's instructions with their jumps filled in.
std::vector<uint32_t> lay_out(const Sequence& sequence) {
    std::vector<uint64_t> unit_at = {0};
    for (const Unit& unit : sequence.units) unit_at.push_back(unit_at.back() + size_of(unit));
    std::vector<uint32_t> laid_out;
    for (size_t u = 0; u < sequence.units.size(); u++) {
        uint64_t at = unit_at[u];
        for (const Instruction& instruction : sequence.units[u]) {
            uint32_t bits = instruction.bits;
            const Jump& jump = instruction.jump;
            if (jump.base != Jump::Base::kNone) {
                uint64_t target = unit_at[std::min(u + 1 + jump.skip, sequence.units.size())];
                uint64_t from = jump.base == Jump::Base::kUnit ? unit_at[u] : at;
                bits = with_immediate(bits, static_cast<int32_t>(target - from) + jump.bias);
            }
            laid_out.push_back(bits);
            at += isa::riscv::length_of(bits);
        }
    }
    return laid_out;
}

void append(std::vector<uint8_t>& bytes, const void* from, size_t size) {
    size_t at = bytes.size();
    bytes.resize(at + size);
    std::memcpy(&bytes[at], from, size);
}

}  // namespace

Program build_program(std::span<const Sequence> sequences, unsigned vector_bits) {
    Program program;
    program.vector_bits = vector_bits;
    Assembly routines(kTextBase);  // only to know their size
    emit_prepare(routines, vector_bits);
    emit_finish(routines, vector_bits);
    constexpr uint64_t kRoutines = kTextBase + 32;

    Assembly a(kTextBase);
    a.line("lui sp, {:#x}", kStackPointer >> 12);
    a.line("addi t0, zero, {}", kPasses);
    a.line("sd t0, {}(sp)", kPassesLeftAt);
    a.line("jal zero, {:#x}", kRoutines + (routines.here() - kTextBase));
    while (a.here() < kRoutines) a.line("ebreak");
    uint64_t prepare = emit_prepare(a, vector_bits);
    uint64_t finish = emit_finish(a, vector_bits);

    uint64_t pass = a.here();
    a.line("lui t0, {:#x}", kInputBase >> 12);
    a.line("sd t0, {}(sp)", kNextInputAt);
    for (const Sequence& sequence : sequences) {
        append(program.inputs, &sequence.input, program.state_size());
        a.call(prepare);
        a.line("ld ra, {}(sp)", kXAt + 8);
        program.starts.push_back(a.here());
        for (uint32_t bits : lay_out(sequence)) a.put(bits);
        a.line("sd ra, {}(sp)", kXAt + 8);
        a.call(finish);
    }
    a.line("ld t0, {}(sp)", kPassesLeftAt);
    a.line("addi t0, t0, -1");
    a.line("sd t0, {}(sp)", kPassesLeftAt);
    a.line("beq t0, zero, {:#x}", a.here() + 12);
    a.call(pass);
    a.line("addi a7, zero, {}", kSystemCallExit);
    a.line("addi a0, zero, 0");
    a.line("ecall");
    program.text = a.take();
    return program;
}

std::vector<uint8_t> elf_file(const Program& program) {
    constexpr uint64_t kPage = 4096;
    auto aligned = [](uint64_t n) { return (n + kPage - 1) & ~(kPage - 1); };
    uint64_t text_at = kPage, inputs_at = text_at + aligned(program.text.size());

    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64, header.e_ident[EI_DATA] = ELFDATA2LSB,
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC, header.e_machine = EM_RISCV, header.e_version = EV_CURRENT, header.e_entry = kTextBase;
    header.e_phoff = sizeof header, header.e_ehsize = sizeof header, header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_flags = EF_RISCV_RVC | EF_RISCV_FLOAT_ABI_DOUBLE;

    auto segment = [](uint32_t flags, uint64_t at, uint64_t address, uint64_t file_size, uint64_t memory_size) {
        return Elf64_Phdr{PT_LOAD, flags, at, address, address, file_size, memory_size, kPage};
    };
    const Elf64_Phdr segments[] = {
        segment(PF_R | PF_X, text_at, kTextBase, program.text.size(), program.text.size()),
        segment(PF_R, inputs_at, kInputBase, program.inputs.size(), program.inputs.size()),
        segment(PF_R | PF_W, 0, kScratchPages, 0, kScratchPagesBytes),
    };
    header.e_phnum = std::size(segments);

    std::vector<uint8_t> file;
    append(file, &header, sizeof header);
    append(file, segments, sizeof segments);
    file.resize(text_at);
    append(file, program.text.data(), program.text.size());
    file.resize(inputs_at);
    append(file, program.inputs.data(), program.inputs.size());
    return file;
}

std::string listing(const Sequence& sequence, uint64_t address) {
    std::string text;
    for (uint32_t bits : lay_out(sequence)) {
        unsigned length = isa::riscv::length_of(bits);
        text +=
            fmt::format("    {:#x}: {:0{}x}  {}\n", address, bits, 2 * length, isa::riscv::disassemble(bits, address));
        address += length;
    }
    return text;
}

}  // namespace doppel::differential
