#include "isa/riscv/assemble.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <unordered_map>

#include "isa/riscv/csr.h"

namespace doppel::isa::riscv {

namespace {

constexpr std::string_view kRoundingNames[] = {"rne", "rtz", "rdn", "rup", "rmm", "reserved5", "reserved6", "dyn"};
// The words of a vtype, in order.
struct TypeField {
    unsigned shift;
    std::array<std::string_view, 8> words;
};
constexpr TypeField kTypeFields[] = {
    {3, {"e8", "e16", "e32", "e64"}},
    {0, {"m1", "m2", "m4", "m8", "", "mf8", "mf4", "mf2"}},
    {6, {"tu", "ta"}},
    {7, {"mu", "ma"}},
};
constexpr std::string_view kFenceLetters = "wroi";
constexpr std::string_view kOrderSuffixes[] = {"", ".rl", ".aq", ".aqrl"};

tl::unexpected<Error> refuse(std::string_view subject, std::string why) {
    return fail(Error{.failed = "assemble", .subject = std::string(subject), .why = std::move(why)});
}

// All operand fields in one word each, so that sets of bits are compared and combined at once.
struct OperandBits {
    uint32_t imm = 0;
    uint32_t registers = 0;

    static OperandBits of(const Operands& o) {
        return {static_cast<uint32_t>(o.imm), uint32_t{o.rd} | uint32_t{o.rs1} << 8 | uint32_t{o.rs2} << 16};
    }
    bool any() const { return (imm | registers) != 0; }
    OperandBits operator^(OperandBits b) const { return {imm ^ b.imm, registers ^ b.registers}; }
    OperandBits operator&(OperandBits b) const { return {imm & b.imm, registers & b.registers}; }
    bool operator==(const OperandBits&) const = default;
};

std::optional<int64_t> parse_number(std::string_view token) {
    bool negative = token.starts_with('-');
    if (negative) token.remove_prefix(1);
    int base = token.starts_with("0x") ? 16 : 10;
    if (base == 16) token.remove_prefix(2);
    uint64_t value = 0;
    auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value, base);
    if (error != std::errc{} || end != token.data() + token.size()) return std::nullopt;
    return static_cast<int64_t>(negative ? 0 - value : value);
}

template <class Names>
std::optional<int64_t> position_of(const Names& names, std::string_view token) {
    auto found = std::find(std::begin(names), std::end(names), token);
    if (found == std::end(names)) return std::nullopt;
    return found - std::begin(names);
}

template <std::string_view (*name)(unsigned)>
std::optional<int64_t> parse_register(std::string_view token) {
    for (unsigned n = 0; n < 32; n++) {
        if (name(n) == token) return n;
    }
    return std::nullopt;
}

std::optional<int64_t> parse_vector_register(std::string_view token) {
    if (!token.starts_with('v')) return std::nullopt;
    auto number = parse_number(token.substr(1));
    return number && *number >= 0 && *number < 32 ? number : std::nullopt;
}

std::optional<int64_t> parse_csr(std::string_view token) {
    for (uint32_t n = 0; n < 4096; n++) {
        if (csr_name(n) == token) return n;
    }
    return parse_number(token);
}

std::optional<int64_t> parse_fence_set(std::string_view token) {
    if (token == "0") return 0;
    int64_t set = 0;
    for (char c : token) {
        size_t bit = kFenceLetters.find(c);
        if (bit == std::string_view::npos) return std::nullopt;
        set |= int64_t{1} << bit;
    }
    return set;
}

// Reads the operands of one line along its syntax.
class OperandReader {
  public:
    OperandReader(std::string_view text, uint64_t pc) : text_(text), pc_(pc) {}

    // False: the text does not fit the syntax.
    bool read(std::string_view syntax, WantedOperands& wanted) {
        for (size_t i = 0; i < syntax.size(); i++) {
            if (syntax[i] == ' ') continue;
            skip_spaces();
            if (syntax[i] != '%') {
                // Fixed registers ("sp") are literals too.
                if (!text_.starts_with(syntax[i])) return false;
                text_.remove_prefix(1);
            } else if (!read_operand(syntax[++i], wanted)) {
                return false;
            }
        }
        skip_spaces();
        return text_.empty();
    }

  private:
    void skip_spaces() {
        while (text_.starts_with(' ')) text_.remove_prefix(1);
    }
    std::string_view token() {
        skip_spaces();
        std::string_view word = text_.substr(0, text_.find_first_of(" ,()"));
        text_.remove_prefix(word.size());
        return word;
    }
    bool read_operand(char kind, WantedOperands& wanted) {
        if (kind == 'm') return read_rounding(wanted);
        if (kind == 'M') return read_mask(wanted);
        if (kind == 'v') return read_vtype(wanted);
        if (kind == 'N') return true;  // part of the mnemonic
        std::optional<int64_t> value = parse(kind, token());
        if (!value) return false;
        uint8_t number = static_cast<uint8_t>(*value);
        switch (kind) {
            case 'd':
            case 'D':
            case 'V':
                wanted.value.rd = number, wanted.mask.rd = 0xff;
                return true;
            case '1':
            case 'S':
            case 'W':
                wanted.value.rs1 = number, wanted.mask.rs1 = 0xff;
                return true;
            case 'z':
                wanted.value.rs1 = number, wanted.mask.rs1 = 0xff;
                return *value >= 0 && *value < 32;
            case 's':
                wanted.value.rs1 = number & 31, wanted.mask.rs1 = 0xff;
                return *value >= -16 && *value < 16;
            case '2':
            case 'T':
            case 'Y':
                wanted.value.rs2 = number, wanted.mask.rs2 = 0xff;
                return true;
            case 'U':
                return want(wanted, *value, 0, 31);
            case 'u':
                return want(wanted, *value, 12, 0xfffff);
            case 't':
                return want(wanted, static_cast<int64_t>(static_cast<uint64_t>(*value) - pc_), 0, ~0u);
            case 'p':
                return want(wanted, *value, 4, 15);
            case 'q':
                return want(wanted, *value, 0, 15);
            default:
                return want(wanted, *value, 0, ~0u);
        }
    }
    static bool want(WantedOperands& wanted, int64_t value, unsigned shift, uint32_t mask) {
        if (mask == ~0u ? value != static_cast<int32_t>(value) : value < 0 || value > mask) return false;
        wanted.value.imm |= static_cast<int32_t>(static_cast<uint32_t>(value) << shift);
        wanted.mask.imm |= static_cast<int32_t>(mask << shift);
        return true;
    }
    bool read_rounding(WantedOperands& wanted) {
        constexpr int64_t kDynamic = 7;
        std::optional<int64_t> mode = kDynamic;
        skip_spaces();
        if (text_.starts_with(',')) {
            text_.remove_prefix(1);
            mode = position_of(kRoundingNames, token());
        }
        return mode && want(wanted, *mode, Operands::kRoundingShift, 7);
    }
    bool read_mask(WantedOperands& wanted) {
        skip_spaces();
        bool masked = text_.starts_with(',');
        if (masked) {
            text_.remove_prefix(1);
            if (token() != "v0.t") return false;
        }
        return want(wanted, masked ? 0 : VectorFields::kUnmasked, 0, VectorFields::kUnmasked);
    }
    // A number, or four words.
    bool read_vtype(WantedOperands& wanted) {
        std::string_view word = token();
        if (auto number = parse_number(word)) return want(wanted, *number, 0, ~0u);
        int64_t type = 0;
        for (size_t i = 0; i < std::size(kTypeFields); i++) {
            if (i > 0) {
                skip_spaces();
                if (!text_.starts_with(',')) return false;
                text_.remove_prefix(1);
                word = token();
            }
            auto value = position_of(kTypeFields[i].words, word);
            if (!value || word.empty()) return false;
            type |= *value << kTypeFields[i].shift;
        }
        return want(wanted, type, 0, ~0u);
    }
    static std::optional<int64_t> parse(char kind, std::string_view word) {
        switch (kind) {
            case 'd':
            case '1':
            case '2':
                return parse_register<integer_register_name>(word);
            case 'D':
            case 'S':
            case 'T':
            case 'U':
                return parse_register<float_register_name>(word);
            case 'V':
            case 'W':
            case 'Y':
                return parse_vector_register(word);
            case 'c':
                return parse_csr(word);
            case 'p':
            case 'q':
                return parse_fence_set(word);
            default:
                return parse_number(word);
        }
    }

    std::string_view text_;
    uint64_t pc_;
};

// The line of a mnemonic, whose ordering suffix, if it has one, goes into `wanted`.
std::optional<InstructionId> find_mnemonic(std::string_view mnemonic, WantedOperands& wanted) {
    static const auto by_name = [] {
        std::unordered_map<std::string_view, InstructionId> map;
        for (size_t i = 0; i + 1 < kInstructionCount; i++) {
            auto id = static_cast<InstructionId>(i);
            map.emplace(info(id).name, id);
        }
        return map;
    }();
    std::string without_fields;  // "vlseg3e8.v" is vle8.v with three fields
    if (size_t at = mnemonic.find("seg");
        mnemonic.starts_with('v') && at != mnemonic.npos && at + 3 < mnemonic.size()) {
        int32_t fields = mnemonic[at + 3] - '0';
        if (fields < 2 || fields > 8) return std::nullopt;
        without_fields = std::string(mnemonic.substr(0, at)) + std::string(mnemonic.substr(at + 4));
        mnemonic = without_fields;
        wanted.value.imm |= (fields - 1) << VectorFields::kSegmentShift;
    }
    for (int order = 3; order >= 0; order--) {
        std::string_view suffix = kOrderSuffixes[order];
        if (!mnemonic.ends_with(suffix)) continue;
        auto found = by_name.find(mnemonic.substr(0, mnemonic.size() - suffix.size()));
        if (found == by_name.end()) continue;
        bool ordered = info(found->second).extension == "A";
        if (order != 0 && !ordered) continue;
        if (ordered) wanted.value.imm = order, wanted.mask.imm = 3;
        if (std::string_view(info(found->second).operands->syntax).ends_with("%N")) {
            wanted.mask.imm |= 7 << VectorFields::kSegmentShift;
        } else if (!without_fields.empty()) {
            return std::nullopt;
        }
        return found->second;
    }
    return std::nullopt;
}

}  // namespace

Result<uint32_t> encode(InstructionId id, const WantedOperands& wanted) {
    const InstructionInfo& line = info(id);
    if (id == InstructionId::k_illegal) return refuse(line.name, "is no instruction");
    OperandBits mask = OperandBits::of(wanted.mask);
    OperandBits base = OperandBits::of(line.operands->decode(line.match));
    OperandBits missing = (OperandBits::of(wanted.value) ^ base) & mask;
    // Every operand bit comes from one instruction bit (a sign bit fills several), so each free bit is decided by
    // itself.
    uint32_t insn = line.match;
    for (unsigned bit = 0; bit < 8u * line.length; bit++) {
        uint32_t free_bit = 1u << bit;
        if (line.mask & free_bit) continue;
        OperandBits controlled = (OperandBits::of(line.operands->decode(line.match | free_bit)) ^ base) & mask;
        if (controlled.any() && (missing & controlled) == controlled) insn |= free_bit;
    }
    Decoded decoded = decode(insn);
    bool same = decoded.id == id && !((OperandBits::of(decoded.operands) ^ OperandBits::of(wanted.value)) & mask).any();
    if (!same) return refuse(line.name, "an operand does not fit the instruction's format");
    return insn;
}

Result<uint32_t> assemble(std::string_view text, uint64_t pc) {
    std::string_view mnemonic = text.substr(0, text.find(' '));
    WantedOperands wanted;
    std::optional<InstructionId> id = find_mnemonic(mnemonic, wanted);
    if (!id) return refuse(text, "no such mnemonic");
    if (!OperandReader(text.substr(mnemonic.size()), pc).read(info(*id).operands->syntax, wanted)) {
        return refuse(text, std::string("the operands are not of the form ") + info(*id).operands->syntax);
    }
    return encode(*id, wanted);
}

}  // namespace doppel::isa::riscv
