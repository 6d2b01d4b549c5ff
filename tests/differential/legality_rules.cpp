#include "legality_rules.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "isa/riscv/decode.h"
#include "isa/riscv/operands_vector.h"

namespace doppel::differential {

namespace riscv = isa::riscv;

namespace {

// Widths and group sizes as logarithms, of bits and of registers.
constexpr int kMask = 0, kByte = 3;

// Registers that an instruction reads.
struct Read {
    int first;
    int width;
    int registers;
};

class Reads {
  public:
    explicit Reads(const Case& one)
        : bits_(one.instruction),
          line_(riscv::info(riscv::decode(one.instruction).id)),
          syntax_(line_.operands->syntax),
          name_(line_.name),
          suffix_(name_.substr(std::min(name_.find('.'), name_.size()))),
          width_(kByte + static_cast<int>(one.type >> 3 & 7)),
          group_(static_cast<int>((one.type & 7) ^ 4) - 4) {
        bool masked = has("%M") && (bits_ >> 25 & 1) == 0;
        if (masked || syntax_.ends_with(", v0")) reads_.push_back({0, kMask, 1});
        if (has("(%1)")) {
            add_memory();
        } else {
            add_sources();
        }
    }
    bool overlap_in_two_widths() const {
        for (const Read& a : reads_) {
            for (const Read& b : reads_) {
                bool overlap = a.first < b.first + b.registers && b.first < a.first + a.registers;
                if (a.width != b.width && overlap) return true;
            }
        }
        return false;
    }

  private:
    int field(int lowest) const { return static_cast<int>(bits_ >> lowest & 31); }
    int vd() const { return field(7); }
    int vs1() const { return field(15); }
    int vs2() const { return field(20); }
    bool has(std::string_view part) const { return syntax_.find(part) != syntax_.npos; }

    void add(int first, int width) {
        int group = width == kMask ? 0 : group_ + width - width_;
        reads_.push_back({first, width, group > 0 ? 1 << group : 1});
    }
    void add_memory() {
        constexpr int kEncodedWidths[] = {3, 0, 0, 0, 0, 4, 5, 6};
        constexpr uint32_t kStores = 0x27;
        if (line_.operands == &riscv::formats::VWhole) return;  // whatever vtype says, and nothing else is read
        int encoded = kEncodedWidths[bits_ >> 12 & 7];
        bool indexed = line_.operands == &riscv::formats::VIndexed;
        if (indexed) add(vs2(), encoded);
        if ((bits_ & 0x7f) != kStores) return;
        size_t data = reads_.size();
        add(vd(), indexed ? width_ : encoded);
        reads_[data].registers *= static_cast<int>(bits_ >> 29) + 1;
    }
    void add_sources() {
        bool widening = name_.starts_with("vw") || name_.starts_with("vfw");
        bool masks = suffix_ == ".mm" || suffix_ == ".m";
        if (has("%Y")) {
            int width = width_;
            if (masks) width = kMask;
            if (suffix_.starts_with(".w") || suffix_.ends_with(".w")) width++;
            if (suffix_ == ".vf2") width -= 1;
            if (suffix_ == ".vf4") width -= 2;
            if (suffix_ == ".vf8") width -= 3;
            add(vs2(), width);
        }
        if (has("%W")) {
            constexpr int kHalfword = 4;
            bool reduction = suffix_ == ".vs";
            int width = masks || suffix_ == ".vm" ? kMask : width_;
            if (reduction && widening) width++;
            if (name_ == "vrgatherei16.vv") width = kHalfword;
            add(vs1(), width);
            if (reduction) reads_.back().registers = 1;
        }
        bool accumulates = line_.operands == &riscv::formats::VMacVV || line_.operands == &riscv::formats::VMacVX ||
                           line_.operands == &riscv::formats::VMacVF;
        if (accumulates) add(vd(), widening ? width_ + 1 : width_);
    }

    uint32_t bits_;
    const riscv::InstructionInfo& line_;
    std::string_view syntax_, name_, suffix_;
    int width_, group_;
    std::vector<Read> reads_;
};

}  // namespace

bool reads_two_widths(const Case& one) {
    if (riscv::info(riscv::decode(one.instruction).id).extension != "V") return false;
    return Reads(one).overlap_in_two_widths();
}

Agreement agreement(const Case& one, const Verdict& reference, const Verdict& engine) {
    if (reads_two_widths(one)) {
        if (!engine.illegal()) return Agreement::kDiffer;
        return reference.illegal() ? Agreement::kSame : Agreement::kKnown;
    }
    if (reference.illegal() != engine.illegal()) return Agreement::kDiffer;
    // Faults leave what they interrupted in states that depend on the memory.
    if (reference.signal != 0 || engine.signal != 0) return Agreement::kSame;
    return reference == engine ? Agreement::kSame : Agreement::kDiffer;
}

}  // namespace doppel::differential
