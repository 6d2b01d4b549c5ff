#include "generate.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "generate_vector.h"
#include "isa/riscv/assemble.h"
#include "isa/riscv/csr.h"
#include "isa/riscv/decode.h"
#include "values.h"

namespace doppel::differential {

namespace {

using isa::riscv::Decoded;
using isa::riscv::InstructionId;
using isa::riscv::Operands;

constexpr uint8_t kSp = 2;
constexpr int kImmediateLimit = 2047;

enum class Kind : uint8_t { kExcluded, kPlain, kStackPointer, kMemory, kReservation, kJump, kJumpRegister, kCsr };

// How often instructions of an extension come. Each has at least one that is not excluded.
struct Weight {
    std::string_view extension;
    unsigned weight;
};
constexpr Weight kWeights[] = {
    {"I", 24},       {"M", 8},           {"A", 8},     {"F", 20},     {"D", 20},    {"C", 24},
    {"Zba", 3},      {"Zbb", 6},         {"Zbs", 4},   {"Zicond", 2}, {"Zicsr", 4}, {"Zicboz", 1},
    {"Zifencei", 1}, {"Zihintpause", 1}, {"Zbc", 3},   {"Zbkb", 3},   {"Zbkx", 2},  {"Zkne", 4},
    {"Zknd", 3},     {"Zknh", 4},        {"Zksed", 2}, {"Zksh", 2},
};

bool is_any(InstructionId id, std::initializer_list<InstructionId> ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
}

Kind kind_of(InstructionId id) {
    using enum InstructionId;
    std::string_view syntax = isa::riscv::info(id).operands->syntax;
    std::string_view extension = isa::riscv::info(id).extension;
    bool reserved = isa::riscv::info(id).operands == &isa::riscv::formats::CIllegal;
    bool privileged =
        is_any(id, {k_ecall, k_ebreak, k_c_ebreak, k_sret, k_mret, k_wfi, k_sfence_vma}) || extension == "Svinval";
    // QEMU's user mode has no enable for cache-block management: there it is illegal.
    if (reserved || privileged || extension == "Zicbom") return Kind::kExcluded;
    if (is_any(id, {k_jalr, k_c_jr, k_c_jalr})) return Kind::kJumpRegister;
    if (is_any(id, {k_lr_w, k_lr_d})) return Kind::kReservation;
    if (id == k_c_addi16sp) return Kind::kStackPointer;
    if (syntax.find("%t") != syntax.npos) return Kind::kJump;
    if (syntax.find("%c") != syntax.npos) return Kind::kCsr;
    if (syntax.find('(') != syntax.npos) return Kind::kMemory;
    return Kind::kPlain;
}

// Bytes that a memory instruction reaches.
unsigned access_bytes(InstructionId id) {
    using enum InstructionId;
    std::string_view name = isa::riscv::info(id).name;
    if (name.starts_with("cbo.")) return 1;
    if (name.ends_with(".w")) return 4;
    if (name.ends_with(".d")) return 8;
    if (is_any(id, {k_lb, k_lbu, k_sb})) return 1;
    if (is_any(id, {k_lh, k_lhu, k_sh})) return 2;
    if (is_any(id, {k_lw, k_lwu, k_sw, k_flw, k_fsw, k_c_lw, k_c_sw, k_c_lwsp, k_c_swsp})) return 4;
    return 8;
}

bool writes_sp(const Decoded& d) {
    std::string_view syntax = isa::riscv::info(d.id).operands->syntax;
    return syntax.find("%d") != syntax.npos && d.operands.rd == kSp;
}

bool has_reserved_rounding(const Decoded& d) {
    std::string_view syntax = isa::riscv::info(d.id).operands->syntax;
    return syntax.find("%m") != syntax.npos && (d.operands.rm() == 5 || d.operands.rm() == 6);
}

uint32_t must_assemble(const std::string& text) {
    auto bits = isa::riscv::assemble(text);
    if (!bits) {
        std::fprintf(stderr, "differential: %s\n", bits.error().message().c_str());
        std::abort();
    }
    return *bits;
}

std::string x_name(unsigned n) {
    return std::string(isa::riscv::integer_register_name(n));
}

}  // namespace

uint32_t add_immediate(unsigned rd, unsigned rs1, int64_t immediate) {
    return must_assemble("addi " + x_name(rd) + ", " + x_name(rs1) + ", " + std::to_string(immediate));
}

uint8_t free_register(Random& random) {
    while (true) {
        uint8_t n = static_cast<uint8_t>(random.below(32));
        if (n != 0 && n != kSp) return n;
    }
}

// Random operand bits, until they mean this line and none of what sequences must not do.
uint32_t random_instruction(Random& random, InstructionId id) {
    const auto& line = isa::riscv::info(id);
    while (true) {
        uint32_t bits = (random.bits32() & ~line.mask) | line.match;
        if (line.length == 2) bits &= 0xffff;
        Decoded decoded = isa::riscv::decode(bits);
        if (decoded.id == id && !writes_sp(decoded) && !has_reserved_rounding(decoded)) return bits;
    }
}

namespace {

class Generator {
  public:
    explicit Generator(Random& random) : random_(random) {}

    Unit unit() {
        InstructionId id = pick_instruction();
        switch (kind_of(id)) {
            case Kind::kMemory:
                return memory(id);
            case Kind::kReservation:
                return reservation(id);
            case Kind::kJump:
                return jump(id);
            case Kind::kJumpRegister:
                return jump_register(id);
            case Kind::kCsr:
                return csr(id);
            case Kind::kStackPointer:
                return stack_pointer();
            default:
                return {{random_instruction(id), {}}};
        }
    }

  private:
    struct Choice {
        unsigned weight;
        std::vector<InstructionId> ids;
    };
    static const std::vector<Choice>& choices() {
        static const std::vector<Choice> all = [] {
            std::vector<Choice> made;
            for (const Weight& weight : kWeights) {
                Choice choice{weight.weight, {}};
                for (size_t i = 0; i + 1 < isa::riscv::kInstructionCount; i++) {
                    auto id = static_cast<InstructionId>(i);
                    bool counts = isa::riscv::info(id).extension == weight.extension && kind_of(id) != Kind::kExcluded;
                    if (counts) choice.ids.push_back(id);
                }
                made.push_back(std::move(choice));
            }
            return made;
        }();
        return all;
    }

    InstructionId pick_instruction() {
        unsigned total = 0;
        for (const Choice& choice : choices()) total += choice.weight;
        uint64_t at = random_.below(total);
        for (const Choice& choice : choices()) {
            if (at < choice.weight) return random_.pick<InstructionId>(choice.ids);
            at -= choice.weight;
        }
        return InstructionId::k_addi;
    }

    uint32_t random_instruction(InstructionId id) { return differential::random_instruction(random_, id); }

    // An offset from sp where `bytes` lie in the scratch memory; often across the page boundary that sp points at.
    int64_t offset_for(unsigned bytes, bool aligned) {
        int64_t step = aligned ? bytes : 1;
        if (!aligned && bytes > 1 && random_.one_in(4)) return random_.between(1 - static_cast<int64_t>(bytes), -1);
        return random_.between(-kScratchBelow / step, (kScratchAbove - static_cast<int64_t>(bytes)) / step) * step;
    }

    Unit memory(InstructionId id) {
        while (true) {
            uint32_t bits = random_instruction(id);
            Operands o = isa::riscv::decode(bits).operands;
            std::string_view syntax = isa::riscv::info(id).operands->syntax;
            if (syntax.find("(sp)") != syntax.npos) return {{bits, {}}};
            if (o.rs1 == 0 || o.rs1 == kSp) continue;
            bool atomic = isa::riscv::info(id).extension == "A";
            int64_t offset = offset_for(access_bytes(id), atomic || random_.one_in(2));
            // So that accesses of other widths never meet a reservation, see reservation().
            if (is_any(id, {InstructionId::k_sc_w})) offset |= 4;
            bool has_immediate = syntax.find("%i") != syntax.npos;
            int64_t base = offset - (has_immediate ? o.imm : 0);
            if (std::abs(base) > kImmediateLimit) continue;
            return {{add_immediate(o.rs1, kSp, base), {}}, {bits, {}}};
        }
    }

    // A load-reserved, something harmless or a store to the same place, and mostly a store-conditional to it. What a
    // store-conditional of another width does is up to the implementation, so words are reserved at odd multiples of 4
    // only.
    Unit reservation(InstructionId id) {
        bool word = id == InstructionId::k_lr_w;
        uint8_t base = free_register(random_);
        int64_t offset = offset_for(8, true) + (word ? 4 : 0);
        Unit unit = {{add_immediate(base, kSp, offset), {}}};
        unit.push_back({with_base(id, base), {}});
        if (random_.one_in(4)) {
            unit.push_back({with_base(word ? InstructionId::k_amoxor_w : InstructionId::k_amoxor_d, base), {}});
        } else if (random_.one_in(2)) {
            uint32_t between = random_instruction(InstructionId::k_xori);
            if (isa::riscv::decode(between).operands.rd != base) unit.push_back({between, {}});
        }
        unit.push_back({with_base(word ? InstructionId::k_sc_w : InstructionId::k_sc_d, base), {}});
        if (random_.one_in(8))
            unit.push_back({with_base(word ? InstructionId::k_sc_w : InstructionId::k_sc_d, base), {}});
        return unit;
    }
    uint32_t with_base(InstructionId id, uint8_t base) {
        while (true) {
            uint32_t bits = (random_instruction(id) & ~(31u << 15)) | uint32_t{base} << 15;
            if (isa::riscv::decode(bits).operands.rd != base) return bits;
        }
    }

    uint8_t skip() { return static_cast<uint8_t>(random_.below(4)); }

    Unit jump(InstructionId id) {
        return {{with_immediate(random_instruction(id), 2), {Jump::Base::kInstruction, skip(), 0}}};
    }

    Unit jump_register(InstructionId id) {
        uint8_t base = free_register(random_);
        Unit unit = {{must_assemble("auipc " + x_name(base) + ", 0"), {}}};
        if (id == InstructionId::k_jalr) {
            uint32_t bits = (random_instruction(id) & ~(31u << 15)) | uint32_t{base} << 15;
            uint8_t bias = random_.one_in(2);
            unit.push_back({with_immediate(bits, 0), {Jump::Base::kUnit, skip(), bias}});
        } else {
            uint8_t bias = random_.one_in(2);
            unit.push_back({add_immediate(base, base, 0), {Jump::Base::kUnit, skip(), bias}});
            unit.push_back({must_assemble(std::string(isa::riscv::info(id).name) + " " + x_name(base)), {}});
        }
        return unit;
    }

    // fflags, frm and fcsr; frm never becomes a reserved mode.
    Unit csr(InstructionId id) {
        using enum InstructionId;
        constexpr uint32_t kNumbers[] = {isa::riscv::csr_number::kFflags, isa::riscv::csr_number::kFrm,
                                         isa::riscv::csr_number::kFcsr};
        constexpr uint64_t kModes = 5;
        uint32_t number = random_.pick<uint32_t>(kNumbers);
        bool frm = number == isa::riscv::csr_number::kFrm, fcsr = number == isa::riscv::csr_number::kFcsr;
        bool immediate = is_any(id, {k_csrrwi, k_csrrsi, k_csrrci});
        uint64_t value = random_.below(32);
        if (is_any(id, {k_csrrw, k_csrrwi}) && frm) value = random_.below(kModes);
        if (id == k_csrrw && fcsr) value |= random_.below(kModes) << 5;
        if (is_any(id, {k_csrrs, k_csrrsi}) && frm) value = 0;

        uint8_t source = immediate ? static_cast<uint8_t>(value) : free_register(random_);
        uint32_t bits = (random_instruction(id) & 0x00007fff) | number << 20 | uint32_t{source} << 15;
        if (immediate) return {{bits, {}}};
        return {{add_immediate(source, 0, static_cast<int64_t>(value)), {}}, {bits, {}}};
    }

    // Moves sp, looks at it, and moves it back.
    Unit stack_pointer() {
        constexpr int32_t kLowest = -512;
        while (true) {
            uint32_t bits = random_instruction(InstructionId::k_c_addi16sp);
            int32_t amount = isa::riscv::decode(bits).operands.imm;
            if (amount == kLowest) continue;
            uint32_t look = must_assemble("c.mv " + x_name(free_register(random_)) + ", sp");
            return {{bits, {}}, {look, {}}, {with_immediate(bits, -amount), {}}};
        }
    }

    Random& random_;
};

}  // namespace

uint32_t with_immediate(uint32_t bits, int32_t immediate) {
    Decoded decoded = isa::riscv::decode(bits);
    isa::riscv::WantedOperands wanted{decoded.operands, {-1, 0xff, 0xff, 0xff}};
    wanted.value.imm = immediate;
    auto encoded = isa::riscv::encode(decoded.id, wanted);
    if (!encoded) {
        std::fprintf(stderr, "differential: immediate %d of %s: %s\n", immediate,
                     isa::riscv::disassemble(bits, 0).c_str(), encoded.error().message().c_str());
        std::abort();
    }
    return *encoded;
}

Sequence generate(Random& random, unsigned length, unsigned vector_bits) {
    Sequence sequence;
    sequence.input = input_state(random, vector_bits);
    Generator generator(random);
    std::optional<VectorGenerator> vectors;
    if (vector_bits != 0) vectors.emplace(random, vector_bits);
    for (unsigned i = 0; i < length; i++) {
        bool scalar = !vectors || random.one_in(4);
        sequence.units.push_back(scalar ? generator.unit() : vectors->unit());
    }
    return sequence;
}

}  // namespace doppel::differential
