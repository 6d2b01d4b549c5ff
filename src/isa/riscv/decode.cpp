#include "isa/riscv/decode.h"

#include <vector>

namespace doppel::isa::riscv {

namespace {

struct Pattern {
    uint32_t mask = 0;
    uint32_t match = 0;
    unsigned width = 0;
};

constexpr Pattern parse_pattern(std::string_view text) {
    Pattern pattern;
    for (char c : text) {
        if (c == ' ') continue;
        pattern.mask = pattern.mask << 1 | (c != '-');
        pattern.match = pattern.match << 1 | (c == '1');
        pattern.width++;
    }
    return pattern;
}

template <unsigned width>
constexpr Pattern checked_pattern(std::string_view text) {
    Pattern pattern = parse_pattern(text);
    if (pattern.width != width) throw "a pattern of instructions.inc has the wrong number of bits";
    return pattern;
}

// xor_, and_, or_ end in '_' because the plain words are C++ operators.
constexpr std::string_view mnemonic(std::string_view id) {
    return id.ends_with('_') ? id.substr(0, id.size() - 1) : id;
}

struct Row {
    std::string_view id;
    std::string_view extension;
    Pattern pattern;
    const OperandFormat* operands;
};

constexpr Row kRows[] = {
#define INSN(id, pattern, operands, extension) \
    {mnemonic(#id), #extension, checked_pattern<32>(pattern), &formats::operands},
#define COMPRESSED(id, pattern, operands, meaning, extension) \
    {#id, #extension, checked_pattern<16>(pattern), &formats::operands},
#include "isa/riscv/instructions.inc"
#undef INSN
#undef COMPRESSED
    {"illegal", "", {}, &formats::None},
};

// Candidates by major opcode and funct3 (32-bit), or quadrant and funct3 (16-bit), each list in table order.
class Index {
  public:
    Index() {
        names_.reserve(kInstructionCount);
        for (const Row& row : kRows) {
            std::string name(row.id);
            for (char& c : name) c = c == '_' ? '.' : c;
            names_.push_back(std::move(name));
            infos_.push_back({names_.back(), row.extension, row.pattern.mask, row.pattern.match,
                              static_cast<uint8_t>(row.pattern.width == 16 ? 2 : 4), row.operands});
        }
        for (uint32_t slot = 0; slot < kSlots; slot++) {
            uint32_t key = slot_bits(slot);
            uint32_t key_mask = slot_mask(slot);
            for (size_t i = 0; i + 1 < infos_.size(); i++) {
                const InstructionInfo& one = infos_[i];
                bool wide = (slot & kWide) != 0;
                if ((one.length == 4) != wide) continue;
                if (((key ^ one.match) & one.mask & key_mask) == 0)
                    candidates_[slot].push_back(static_cast<uint16_t>(i));
            }
        }
    }

    const InstructionInfo& info(InstructionId id) const { return infos_[static_cast<size_t>(id)]; }

    Decoded decode(uint32_t insn) const {
        bool wide = length_of(insn) == 4;
        uint32_t slot =
            wide ? kWide | bits(insn, 6, 2) << 3 | bits(insn, 14, 12) : bits(insn, 1, 0) << 3 | bits(insn, 15, 13);
        if (!wide) insn &= 0xffff;
        for (uint16_t i : candidates_[slot]) {
            const InstructionInfo& one = infos_[i];
            if ((insn & one.mask) != one.match) continue;
            if (one.operands == &formats::CIllegal) break;
            return {static_cast<InstructionId>(i), one.length, one.operands->decode(insn)};
        }
        return {InstructionId::k_illegal, static_cast<uint8_t>(wide ? 4 : 2), {}};
    }

  private:
    static constexpr uint32_t kWide = 256;
    static constexpr uint32_t kSlots = 512;
    static constexpr uint32_t slot_bits(uint32_t slot) {
        if (slot & kWide) return (slot >> 3 & 31) << 2 | 3 | (slot & 7) << 12;
        return (slot >> 3 & 3) | (slot & 7) << 13;
    }
    static constexpr uint32_t slot_mask(uint32_t slot) { return slot & kWide ? 0x707f : 0xe003; }

    std::vector<std::string> names_;
    std::vector<InstructionInfo> infos_;
    std::array<std::vector<uint16_t>, kSlots> candidates_;
};

const Index& index() {
    static const Index instance;
    return instance;
}

}  // namespace

const InstructionInfo& info(InstructionId id) {
    return index().info(id);
}

Decoded decode(uint32_t insn) {
    return index().decode(insn);
}

}  // namespace doppel::isa::riscv
