#include "generate_vector.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "cpu/interpret/interpreter.h"
#include "isa/riscv/csr.h"

namespace doppel::differential {

namespace riscv = isa::riscv;
using riscv::InstructionId;

// Whether an instruction is legal in a type: tried with vl 0, when nothing but whole registers move.
class LegalityOracle {
  public:
    explicit LegalityOracle(unsigned vector_bits) {
        auto region = memory_.add_region(kCode, riscv::kPageBytes);
        hart_.vector.reset(vector_bits);
        hart_.csr.mtvec = kHandler;
        vcpu_ = cpu::interpret::Interpreter().make_vcpu({hart_, memory_, bus_, environment_});
        constexpr uint32_t kNop = 0x13;
        ready_ = region.has_value() && memory_.store<uint32_t>(kHandler, kNop);
    }
    bool legal(uint32_t instruction, uint64_t vtype) {
        hart_.pc = kCode;
        hart_.privilege = riscv::Privilege::kMachine;
        hart_.csr.mcause = 0;
        hart_.csr.mstatus |= riscv::mstatus::kFs | riscv::mstatus::kVs;
        hart_.vector.vtype = vtype, hart_.vector.vl = 0, hart_.vector.vstart = 0;
        hart_.x.fill(0);
        if (!ready_ || !memory_.store<uint32_t>(kCode, instruction)) return false;
        vcpu_->run(1);
        return hart_.csr.mcause != riscv::cause::kIllegalInstruction;
    }

  private:
    static constexpr uint64_t kCode = 0x1000, kHandler = kCode + 64;
    struct NoTime final : riscv::Environment {
        uint64_t time() const override { return 0; }
        std::optional<uint16_t> entropy() const override { return std::nullopt; }
    };
    memory::GuestMemory memory_;
    device::Bus bus_;
    NoTime environment_;
    riscv::Hart hart_;
    std::unique_ptr<cpu::Vcpu> vcpu_;
    bool ready_ = false;
};

namespace {

constexpr int kByteWidth = 3, kLargestWidth = 6;
constexpr uint32_t kRs1 = 31u << 15, kRs2 = 31u << 20, kRd = 31u << 7, kUnmasked = 1u << 25;
constexpr uint8_t kSp = 2;

constexpr uint32_t rs1(uint8_t n) {
    return uint32_t{n} << 15;
}
constexpr uint32_t rs2(uint8_t n) {
    return uint32_t{n} << 20;
}
constexpr uint32_t rd(uint8_t n) {
    return uint32_t{n} << 7;
}

uint32_t match(InstructionId id) {
    return riscv::info(id).match;
}

enum class Kind : uint8_t { kArithmetic, kConfiguration, kUnitStride, kStrided, kIndexed, kMask, kWhole };

Kind kind_of(InstructionId id) {
    const riscv::InstructionInfo& line = riscv::info(id);
    if (line.operands == &riscv::formats::VLoad) return Kind::kUnitStride;
    if (line.operands == &riscv::formats::VStrided) return Kind::kStrided;
    if (line.operands == &riscv::formats::VIndexed) return Kind::kIndexed;
    if (line.operands == &riscv::formats::VWhole) return line.name[2] == 'm' ? Kind::kMask : Kind::kWhole;
    return line.name.starts_with("vset") ? Kind::kConfiguration : Kind::kArithmetic;
}

template <class Predicate>
std::vector<InstructionId> ids_where(Predicate predicate) {
    std::vector<InstructionId> ids;
    for (size_t i = 0; i + 1 < riscv::kInstructionCount; i++) {
        auto id = static_cast<InstructionId>(i);
        if (riscv::info(id).extension == "V" && predicate(kind_of(id))) ids.push_back(id);
    }
    return ids;
}

// The width that a load or store encodes, as a logarithm.
int encoded_width(InstructionId id) {
    constexpr int kWidths[] = {3, 0, 0, 0, 0, 4, 5, 6};
    return kWidths[match(id) >> 12 & 7];
}

}  // namespace

VectorGenerator::VectorGenerator(Random& random, unsigned vector_bits)
    : random_(random), vector_bits_(vector_bits), oracle_(std::make_unique<LegalityOracle>(vector_bits)) {}
VectorGenerator::~VectorGenerator() = default;

VectorGenerator::Type VectorGenerator::random_type() {
    while (true) {
        Type type{static_cast<int>(random_.between(kByteWidth, kLargestWidth)),
                  static_cast<int>(random_.between(-3, 3))};
        if (type.width <= kLargestWidth + std::min(type.group, 0)) return type;
    }
}

// vta and vma are 0: elements that they concern are compared.
uint32_t VectorGenerator::encoded(Type type) {
    return static_cast<uint32_t>(type.width - kByteWidth) << 3 | (static_cast<uint32_t>(type.group) & 7);
}

uint64_t VectorGenerator::largest_length(Type type) const {
    uint64_t bits = vector_bits_;
    return type.group >= 0 ? (bits << type.group) >> type.width : bits >> -type.group >> type.width;
}

void VectorGenerator::configure(Unit& unit, Type type, std::optional<uint64_t> length) {
    constexpr uint64_t kLargestImmediate = 31;
    uint64_t maximum = largest_length(type);
    uint64_t wanted = length              ? random_.below(*length + 1)
                      : random_.one_in(2) ? maximum
                                          : random_.below(2 * maximum + 2);
    if (length && random_.one_in(2)) wanted = *length;
    uint32_t type_bits = encoded(type) << 20;
    uint8_t result = random_.one_in(4) ? free_register(random_) : uint8_t{0};
    if (wanted <= kLargestImmediate && random_.one_in(2)) {
        uint32_t bits = match(InstructionId::k_vsetivli) | type_bits | rs1(static_cast<uint8_t>(wanted)) | rd(result);
        return unit.push_back({bits, {}});
    }
    uint8_t source = free_register(random_);
    unit.push_back({add_immediate(source, 0, static_cast<int64_t>(std::min<uint64_t>(wanted, 2047))), {}});
    if (random_.one_in(4)) {
        uint8_t type_register = free_register(random_);
        if (type_register != source) {
            unit.push_back({add_immediate(type_register, 0, encoded(type)), {}});
            unit.push_back({match(InstructionId::k_vsetvl) | rs1(source) | rs2(type_register) | rd(result), {}});
            return;
        }
    }
    unit.push_back({match(InstructionId::k_vsetvli) | type_bits | rs1(source) | rd(result), {}});
}

void VectorGenerator::start_late(Unit& unit) {
    constexpr uint32_t kVstart = 0x008;
    uint32_t number = static_cast<uint32_t>(random_.below(random_.one_in(4) ? 32 : 6));
    unit.push_back({match(InstructionId::k_csrrwi) | kVstart << 20 | rs1(static_cast<uint8_t>(number)), {}});
}

void VectorGenerator::set_rounding(Unit& unit) {
    constexpr uint32_t kVxrm = 0x00a, kVxsat = 0x009, kVcsr = 0x00f;
    constexpr uint32_t kNumbers[] = {kVxrm, kVxsat, kVcsr};
    uint32_t number = random_.pick<uint32_t>(kNumbers);
    uint8_t result = free_register(random_);
    uint8_t value = static_cast<uint8_t>(random_.below(32));
    unit.push_back({match(InstructionId::k_csrrwi) | number << 20 | rs1(value) | rd(result), {}});
}

bool VectorGenerator::add_legal(Unit& unit, Type type, InstructionId id, Fixed fixed) {
    constexpr int kTries = 100;
    for (int i = 0; i < kTries; i++) {
        uint32_t bits = (random_instruction(random_, id) & ~fixed.mask) | fixed.bits;
        // Few registers, so that results meet.
        if (random_.one_in(2)) bits &= ~((kRd & ~fixed.mask & ~riscv::info(id).mask) & rd(8));
        if (riscv::decode(bits).id != id || !oracle_->legal(bits, encoded(type))) continue;
        // sp stays, and x0 has no use.
        std::string_view syntax = riscv::info(id).operands->syntax;
        if (syntax.find("%d") != syntax.npos && (bits & kRd) == rd(kSp)) continue;
        unit.push_back({bits, {}});
        return true;
    }
    return false;
}

Unit VectorGenerator::arithmetic() {
    static const auto ids = ids_where([](Kind kind) { return kind == Kind::kArithmetic; });
    Unit unit;
    Type type = random_type();
    configure(unit, type, std::nullopt);
    if (random_.one_in(8)) set_rounding(unit);
    uint64_t count = 1 + random_.below(4);
    for (uint64_t done = 0; done < count;) {
        InstructionId id = random_.pick<InstructionId>(ids);
        Unit one;
        std::string_view name = riscv::info(id).name;
        // What refuses to start in the middle.
        bool whole = name.starts_with("vred") || name.starts_with("vwred") || name.starts_with("vfred") ||
                     name.starts_with("vfwred") || name.ends_with(".m") || name.starts_with("vcompress");
        if (!whole && random_.one_in(16)) start_late(one);
        done++;
        if (add_legal(one, type, id, {0, 0})) unit.insert(unit.end(), one.begin(), one.end());
    }
    return unit;
}

bool VectorGenerator::add_access(Unit& unit, Type type, InstructionId id, Extent extent, Fixed fixed) {
    if (extent.high - extent.low > static_cast<int64_t>(kScratchBytes)) return false;
    int64_t offset = random_.between(-kScratchBelow - extent.low, kScratchAbove - extent.high);
    uint8_t base = free_register(random_);
    if ((fixed.mask & kRs2) != 0 && base == (fixed.bits >> 20 & 31)) return false;
    fixed.mask |= kRs1, fixed.bits |= rs1(base);
    unit.push_back({add_immediate(base, kSp, offset), {}});
    // QEMU 10 aborts where whole registers start behind their end.
    if (kind_of(id) != Kind::kWhole && random_.one_in(16)) start_late(unit);
    return add_legal(unit, type, id, fixed);
}

bool VectorGenerator::add_unit_stride(Unit& unit, InstructionId id) {
    Type type = random_type();
    int64_t fields = random_.one_in(2) ? 1 : random_.between(1, 8);
    int64_t segment = fields << (encoded_width(id) - kByteWidth);
    uint64_t longest = std::min<uint64_t>(largest_length(type), kScratchBytes / static_cast<uint64_t>(segment));
    configure(unit, type, longest);
    return add_access(unit, type, id, {0, static_cast<int64_t>(longest) * segment},
                      {7u << 29, static_cast<uint32_t>(fields - 1) << 29});
}

bool VectorGenerator::add_strided(Unit& unit, InstructionId id) {
    Type type = random_type();
    int64_t fields = random_.one_in(2) ? 1 : random_.between(1, 8);
    int64_t segment = fields << (encoded_width(id) - kByteWidth);
    int64_t stride = random_.between(-48, 48);
    uint64_t longest = largest_length(type);
    auto extent = [&] {
        int64_t last = static_cast<int64_t>(longest > 0 ? longest - 1 : 0) * stride;
        return Extent{std::min<int64_t>(last, 0), std::max<int64_t>(last, 0) + segment};
    };
    while (extent().high - extent().low > static_cast<int64_t>(kScratchBytes)) longest /= 2;
    configure(unit, type, longest);
    uint8_t stride_register = free_register(random_);
    unit.push_back({add_immediate(stride_register, 0, stride), {}});
    return add_access(unit, type, id, extent(),
                      {7u << 29 | kRs2, static_cast<uint32_t>(fields - 1) << 29 | rs2(stride_register)});
}

// Indices are multiples of their positions, or a few of them exchanged.
bool VectorGenerator::add_indexed(Unit& unit, InstructionId id) {
    Type type = random_type();
    int index_width = encoded_width(id);
    Type index_type{index_width, type.group + index_width - type.width};
    if (index_type.group < -3 || index_type.group > 3) return false;
    if (index_width > kLargestWidth + std::min(index_type.group, 0)) return false;
    int64_t fields = random_.one_in(2) ? 1 : random_.between(1, 8);
    int64_t segment = fields << (type.width - kByteWidth);
    int64_t factor = random_.between(0, 15);
    uint64_t longest = largest_length(type);
    auto highest = [&] {
        int64_t last = static_cast<int64_t>(longest > 0 ? longest - 1 : 0) * factor;
        return (index_width == kByteWidth ? 255 : last) + segment;
    };
    while (highest() > static_cast<int64_t>(kScratchBytes) && longest > 1) longest /= 2;
    // All of the indices' register group is set, whatever vl becomes.
    uint8_t indices = static_cast<uint8_t>(random_.below(32) & ~((1u << std::max(index_type.group, 0)) - 1));
    uint8_t factor_register = free_register(random_);
    unit.push_back({add_immediate(factor_register, 0, static_cast<int64_t>(longest)), {}});
    unit.push_back({match(InstructionId::k_vsetvli) | encoded(index_type) << 20 | rs1(factor_register), {}});
    unit.push_back({match(InstructionId::k_vid_v) | kUnmasked | rd(indices), {}});
    unit.push_back({add_immediate(factor_register, 0, factor), {}});
    unit.push_back(
        {match(InstructionId::k_vmul_vx) | kUnmasked | rd(indices) | rs2(indices) | rs1(factor_register), {}});
    configure(unit, type, longest);
    return add_access(unit, type, id, {0, highest()},
                      {7u << 29 | kRs2, static_cast<uint32_t>(fields - 1) << 29 | rs2(indices)});
}

bool VectorGenerator::add_whole(Unit& unit, InstructionId id) {
    Type type = random_type();
    configure(unit, type, std::nullopt);
    int64_t registers = kind_of(id) == Kind::kMask ? 1 : (match(id) >> 29) + 1;
    return add_access(unit, type, id, {0, registers * vector_bits_ / 8}, {0, 0});
}

Unit VectorGenerator::memory() {
    static const auto ids =
        ids_where([](Kind kind) { return kind != Kind::kArithmetic && kind != Kind::kConfiguration; });
    while (true) {
        InstructionId id = random_.pick<InstructionId>(ids);
        Unit unit;
        bool made = false;
        switch (kind_of(id)) {
            case Kind::kUnitStride:
                made = add_unit_stride(unit, id);
                break;
            case Kind::kStrided:
                made = add_strided(unit, id);
                break;
            case Kind::kIndexed:
                made = add_indexed(unit, id);
                break;
            default:
                made = add_whole(unit, id);
        }
        if (made) return unit;
    }
}

Unit VectorGenerator::unit() {
    return random_.one_in(3) ? memory() : arithmetic();
}

}  // namespace doppel::differential
