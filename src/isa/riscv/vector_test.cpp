// Where the differential test does not reach: the unit's absence, vstart, saved states, the differing edges of loads.
// The arithmetic is compared with QEMU (tests/differential --vlen).
#include "isa/riscv/vector.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/saved_state.h"
#include "isa/riscv/csr.h"
#include "isa/riscv/extensions.h"

namespace doppel::isa::riscv::vector {
namespace {

using Outcome = VectorResult::Outcome;

// Bytes of 64 KiB; accesses from `limit` on trap.
class FakeMemory final : public VectorMemory {
  public:
    bool load(uint64_t address, unsigned bytes, uint64_t& value) override {
        if (!loadable(address, bytes)) return false;
        value = 0;
        for (unsigned i = 0; i < bytes; i++) value |= uint64_t{data.at(address + i)} << (8 * i);
        return true;
    }
    bool store(uint64_t address, unsigned bytes, uint64_t value) override {
        if (!loadable(address, bytes)) return false;
        for (unsigned i = 0; i < bytes; i++) data.at(address + i) = static_cast<uint8_t>(value >> (8 * i));
        return true;
    }
    bool loadable(uint64_t address, unsigned bytes) override { return address + bytes <= limit; }

    uint8_t* within_page(uint64_t address, uint64_t bytes, bool) override {
        return has_pages && address + bytes <= limit ? &data.at(address) : nullptr;
    }

    bool has_pages = false;
    std::vector<uint8_t> data = std::vector<uint8_t>(1 << 16);
    uint64_t limit = 1 << 16;
};

constexpr uint64_t kE8M1 = 0, kE32M1 = 2 << 3, kE64M8 = 3 << 3 | 3;

class Vector : public ::testing::Test {
  protected:
    Vector() {
        hart.vector.reset(128);
        hart.csr.mstatus |= mstatus::kVs | mstatus::kFs;
        for (size_t i = 0; i < memory.data.size(); i++) memory.data[i] = static_cast<uint8_t>(i * 7 + 1);
    }
    uint64_t configured(uint64_t length, uint64_t type) { return configure(hart, length, type).value; }
    Outcome run(VectorFunction& function, const VectorOperands& o) { return function(unit, o).outcome; }
    uint8_t byte(unsigned reg, unsigned i) const { return hart.vector.registers[16 * reg + i]; }

    Hart hart;
    FakeMemory memory;
    VectorUnit unit{hart, memory};
};

TEST_F(Vector, IsIllegalWhileTheUnitIsOff) {
    configured(4, kE32M1);
    hart.csr.mstatus &= ~mstatus::kVs;
    EXPECT_EQ(configure(hart, 1, kE8M1).outcome, Outcome::kIllegal);
    EXPECT_EQ(run(vadd, {.vd = 1}), Outcome::kIllegal);
    EXPECT_EQ(run(load_whole, {.vd = 1, .width = 3}), Outcome::kIllegal);
    EXPECT_EQ(run(vmv_x_s, {}), Outcome::kIllegal);
}

TEST_F(Vector, LengthIsTheSmallerOfWhatIsAskedAndFits) {
    EXPECT_EQ(configured(3, kE32M1), 3u);
    EXPECT_EQ(configured(100, kE32M1), 4u);
    EXPECT_EQ(configured(kMaximumLength, kE64M8), 16u);
    EXPECT_EQ(configure_keeping_length(hart, kE8M1).value, 16u);
}

TEST_F(Vector, TypesThatAreNotSupportedSetVill) {
    constexpr uint64_t kE64Half = 3 << 3 | 7, kE8Eighth = 5, kReservedGroup = 4, kReservedWidth = 4 << 3,
                       kHigh = 1 << 8;
    EXPECT_EQ(configured(1, kE8Eighth), 1u);
    for (uint64_t type : {kE64Half, kReservedGroup, kReservedWidth, kHigh, VectorState::kIllegalType}) {
        EXPECT_EQ(configured(1, type), 0u) << type;
        EXPECT_EQ(hart.vector.vtype, VectorState::kIllegalType) << type;
        EXPECT_EQ(run(vadd, {.vd = 1}), Outcome::kIllegal);
        EXPECT_EQ(run(load_whole, {.vd = 1, .width = 3}), Outcome::kDone) << "depends on no type";
    }
}

TEST_F(Vector, GroupsMustBeAlignedAndApartFromWhatTheyWiden) {
    configured(8, 1);  // e8, m2
    EXPECT_EQ(run(vadd, {.vd = 2, .vs1 = 4, .vs2 = 6}), Outcome::kDone);
    EXPECT_EQ(run(vadd, {.vd = 3, .vs1 = 4, .vs2 = 6}), Outcome::kIllegal);
    EXPECT_EQ(run(vwadd, {.vd = 4, .vs1 = 6, .vs2 = 8}), Outcome::kDone) << "the highest part may overlap";
    EXPECT_EQ(run(vwadd, {.vd = 4, .vs1 = 4, .vs2 = 8}), Outcome::kIllegal);
    EXPECT_EQ(run(vnsrl, {.vd = 4, .vs1 = 8, .vs2 = 4}), Outcome::kDone) << "the lowest part may overlap";
    EXPECT_EQ(run(vnsrl, {.vd = 6, .vs1 = 8, .vs2 = 4}), Outcome::kIllegal);
    EXPECT_EQ(run(vadd, {.vd = 0, .vs1 = 4, .vs2 = 6, .masked = true}), Outcome::kIllegal) << "the mask's own register";
}

TEST_F(Vector, LoadThatTrapsSaysWhereAndGoesOnFromThere) {
    configured(16, kE8M1);
    memory.limit = 0x105;
    VectorOperands o{.vd = 1, .width = 3, .scalar = 0x100};
    EXPECT_EQ(run(load_unit, o), Outcome::kLeft);
    EXPECT_EQ(hart.vector.vstart, 5u);
    EXPECT_EQ(byte(1, 4), memory.data[0x104]);
    EXPECT_EQ(byte(1, 5), 0);
    memory.limit = 0x1000;
    memory.data[0x100]++;  // done already
    EXPECT_EQ(run(load_unit, o), Outcome::kDone);
    EXPECT_EQ(hart.vector.vstart, 0u);
    EXPECT_EQ(byte(1, 0) + 1, memory.data[0x100]);
    EXPECT_EQ(byte(1, 15), memory.data[0x10f]);
}

TEST_F(Vector, StoreThatTrapsLeavesTheRestUnstored) {
    configured(4, kE32M1);
    memory.limit = 0x108;
    EXPECT_EQ(run(store_unit, {.vd = 1, .width = 5, .scalar = 0x100}), Outcome::kLeft);
    EXPECT_EQ(hart.vector.vstart, 2u);
    EXPECT_EQ(memory.data[0x107], 0);
    EXPECT_EQ(memory.data[0x108], static_cast<uint8_t>(0x108 * 7 + 1));
}

TEST_F(Vector, ElementsThatLieTogetherGoTogether) {
    memory.has_pages = true;
    configured(3, kE32M1);
    EXPECT_EQ(run(load_unit, {.vd = 1, .width = 5, .scalar = 0x101}), Outcome::kDone);
    EXPECT_EQ(byte(1, 0), memory.data[0x101]);
    EXPECT_EQ(byte(1, 11), memory.data[0x10c]);
    EXPECT_EQ(byte(1, 12), 0) << "a tail element keeps its value";
    EXPECT_EQ(run(store_unit, {.vd = 1, .width = 5, .scalar = 0x203}), Outcome::kDone);
    EXPECT_EQ(memory.data[0x20e], memory.data[0x10c]);
    EXPECT_EQ(memory.data[0x20f], static_cast<uint8_t>(0x20f * 7 + 1));
    EXPECT_EQ(run(load_whole, {.vd = 2, .fields = 2, .width = 3, .scalar = 0x100}), Outcome::kDone);
    EXPECT_EQ(byte(3, 15), memory.data[0x11f]);
    // In two parts, and by elements where some are masked off.
    hart.vector.vstart = 2;
    EXPECT_EQ(run(load_unit, {.vd = 4, .width = 5, .scalar = 0x100}), Outcome::kDone);
    EXPECT_EQ(byte(4, 7), 0);
    EXPECT_EQ(byte(4, 8), memory.data[0x108]);
    hart.vector.registers[0] = 0b101;
    EXPECT_EQ(run(load_unit, {.vd = 5, .masked = true, .width = 5, .scalar = 0x100}), Outcome::kDone);
    EXPECT_EQ(byte(5, 3), memory.data[0x103]);
    EXPECT_EQ(byte(5, 4), 0);
    EXPECT_EQ(byte(5, 8), memory.data[0x108]);
    hart.vector.vl = 0;
    EXPECT_EQ(run(load_unit, {.vd = 6, .width = 5, .scalar = 0x10000}), Outcome::kDone) << "no access";
    EXPECT_EQ(byte(6, 0), 0);
}

TEST_F(Vector, ChunksEndWhereTheVectorDoes) {
    constexpr uint64_t kE8M2 = 1;
    configured(20, kE8M2);
    std::vector<uint8_t>& registers = hart.vector.registers;
    for (size_t i = 0; i < registers.size(); i++) registers[i] = static_cast<uint8_t>(i * 5 + 3);
    const std::vector<uint8_t> before = registers;
    const auto expect = [&](unsigned first, auto value) {
        for (unsigned i = 0; i < 32; i++) {
            const size_t at = size_t{16} * 4 + i;
            EXPECT_EQ(registers[at], i < first || i >= 20 ? before[at] : static_cast<uint8_t>(value(i))) << i;
        }
        registers = before;
    };
    const auto in = [&](unsigned reg, unsigned i) { return before[size_t{16} * reg + i]; };
    EXPECT_EQ(run(vadd, {.vd = 4, .vs1 = 6, .vs2 = 8}), Outcome::kDone);
    expect(0, [&](unsigned i) { return in(8, i) + in(6, i); });
    EXPECT_EQ(run(vsub, {.vd = 4, .vs2 = 4, .first = Source::kScalar, .scalar = 9}), Outcome::kDone);
    expect(0, [&](unsigned i) { return in(4, i) - 9; });
    EXPECT_EQ(run(vmacc, {.vd = 4, .vs1 = 6, .vs2 = 8}), Outcome::kDone);
    expect(0, [&](unsigned i) { return in(8, i) * in(6, i) + in(4, i); });
    hart.vector.vstart = 3;
    EXPECT_EQ(run(vxor, {.vd = 4, .vs1 = 6, .vs2 = 8}), Outcome::kDone);
    expect(3, [&](unsigned i) { return in(8, i) ^ in(6, i); });
}

TEST_F(Vector, FaultOnlyFirstShortensTheVectorInsteadOfTrapping) {
    configured(16, kE8M1);
    memory.limit = 0x105;
    EXPECT_EQ(run(load_fault_first, {.vd = 1, .width = 3, .scalar = 0x100}), Outcome::kDone);
    EXPECT_EQ(hart.vector.vl, 5u);
    EXPECT_EQ(byte(1, 4), memory.data[0x104]);
    EXPECT_EQ(byte(1, 5), 0);
    EXPECT_EQ(run(load_fault_first, {.vd = 1, .width = 3, .scalar = 0x105}), Outcome::kLeft) << "the first traps";
    EXPECT_EQ(hart.vector.vl, 5u);
}

TEST_F(Vector, WholeRegisterLoadsGoOnAtVstart) {
    hart.vector.vstart = 20;
    EXPECT_EQ(run(load_whole, {.vd = 2, .fields = 2, .width = 3, .scalar = 0x100}), Outcome::kDone);
    EXPECT_EQ(byte(3, 3), 0);
    EXPECT_EQ(byte(3, 4), memory.data[0x114]);
    hart.vector.vstart = 40;
    EXPECT_EQ(run(load_whole, {.vd = 2, .fields = 2, .width = 3, .scalar = 0x200}), Outcome::kDone) << "past the end";
    EXPECT_EQ(byte(3, 4), memory.data[0x114]);
    EXPECT_EQ(run(load_whole, {.vd = 3, .fields = 2, .width = 3}), Outcome::kIllegal);
}

TEST_F(Vector, WholeRegisterLoadsCountElementsOfTheirWidth) {
    hart.vector.vstart = 5;  // of 32 bits: byte 20
    EXPECT_EQ(run(load_whole, {.vd = 2, .fields = 2, .width = 5, .scalar = 0x100}), Outcome::kDone);
    EXPECT_EQ(byte(3, 3), 0);
    EXPECT_EQ(byte(3, 4), memory.data[0x114]);
    EXPECT_EQ(byte(3, 15), memory.data[0x11f]);
    EXPECT_EQ(hart.vector.vstart, 0u);
}

TEST_F(Vector, WholeRegisterLoadThatTrapsGoesOnWhereItWas) {
    memory.limit = 0x114;
    VectorOperands o{.vd = 2, .fields = 2, .width = 5, .scalar = 0x100};
    EXPECT_EQ(run(load_whole, o), Outcome::kLeft);
    EXPECT_EQ(hart.vector.vstart, 5u);
    EXPECT_EQ(byte(3, 3), memory.data[0x113]);
    EXPECT_EQ(byte(3, 4), 0);
    memory.limit = 0x1000;
    EXPECT_EQ(run(load_whole, o), Outcome::kDone);
    EXPECT_EQ(byte(3, 15), memory.data[0x11f]);
    EXPECT_EQ(hart.vector.vstart, 0u);
}

TEST_F(Vector, WholeRegisterStoresGoOnAtVstart) {
    for (unsigned i = 0; i < 32; i++) hart.vector.registers[2 * 16 + i] = static_cast<uint8_t>(0x80 + i);
    auto original = [](uint64_t address) { return static_cast<uint8_t>(address * 7 + 1); };
    VectorOperands o{.vd = 2, .fields = 2, .width = 3, .scalar = 0x100};
    hart.vector.vstart = 20;
    EXPECT_EQ(run(store_whole, o), Outcome::kDone);
    EXPECT_EQ(memory.data[0x113], original(0x113));
    EXPECT_EQ(memory.data[0x114], 0x94);
    EXPECT_EQ(memory.data[0x11f], 0x9f);
    EXPECT_EQ(memory.data[0x120], original(0x120));
    EXPECT_EQ(hart.vector.vstart, 0u);
    hart.vector.vstart = 32;
    o.scalar = 0x200;
    EXPECT_EQ(run(store_whole, o), Outcome::kDone) << "past the end";
    EXPECT_EQ(memory.data[0x200], original(0x200));
    EXPECT_EQ(memory.data[0x21f], original(0x21f));
    EXPECT_EQ(hart.vector.vstart, 0u);
    hart.vector.vstart = 1;
    EXPECT_EQ(run(store_whole, {.vd = 3, .fields = 2, .width = 3}), Outcome::kIllegal);
    EXPECT_EQ(hart.vector.vstart, 1u);
}

TEST_F(Vector, WholeRegisterStoreThatTrapsGoesOnWhereItWas) {
    for (unsigned i = 0; i < 16; i++) hart.vector.registers[16 + i] = static_cast<uint8_t>(0x80 + i);
    memory.limit = 0x107;
    VectorOperands o{.vd = 1, .width = 3, .scalar = 0x100};
    EXPECT_EQ(run(store_whole, o), Outcome::kLeft);
    EXPECT_EQ(hart.vector.vstart, 7u);
    EXPECT_EQ(memory.data[0x106], 0x86);
    memory.limit = 0x1000;
    memory.data[0x106] = 0;  // done already
    EXPECT_EQ(run(store_whole, o), Outcome::kDone);
    EXPECT_EQ(memory.data[0x106], 0);
    EXPECT_EQ(memory.data[0x107], 0x87);
    EXPECT_EQ(memory.data[0x10f], 0x8f);
    EXPECT_EQ(hart.vector.vstart, 0u);
}

TEST_F(Vector, RegistersAreReadWithOneWidth) {
    configured(2, kE32M1);
    EXPECT_EQ(run(vadd, {.vd = 2, .vs1 = 0, .vs2 = 1}), Outcome::kDone);
    EXPECT_EQ(run(vadd, {.vd = 2, .vs1 = 0, .vs2 = 1, .masked = true}), Outcome::kIllegal) << "v0 is the mask";
    EXPECT_EQ(run(store_unit, {.vd = 0, .masked = true, .width = 5}), Outcome::kIllegal);
    // Indices of 16 bits beside data of 32: among any of the segment's registers.
    EXPECT_EQ(run(store_indexed, {.vd = 4, .vs2 = 7, .fields = 3, .width = 4}), Outcome::kDone);
    for (uint8_t index : {4, 5, 6})
        EXPECT_EQ(run(store_indexed, {.vd = 4, .vs2 = index, .fields = 3, .width = 4}), Outcome::kIllegal);
    EXPECT_EQ(run(store_indexed, {.vd = 4, .vs2 = 6, .fields = 3, .width = 5}), Outcome::kDone) << "the same width";
}

TEST_F(Vector, ReductionsAndCountsRefuseToStartInTheMiddle) {
    configured(4, kE32M1);
    for (VectorFunction* function : {&vredsum, &vfredosum, &vcpop, &vfirst, &vmsbf, &viota, &vcompress}) {
        hart.vector.vstart = 1;
        EXPECT_EQ(run(*function, {.vd = 1, .vs1 = 2, .vs2 = 3}), Outcome::kIllegal);
    }
}

TEST_F(Vector, FloatOperationsNeedTheFloatUnitAndAValidRounding) {
    configured(4, kE32M1);
    EXPECT_EQ(run(vfadd, {.vd = 1, .vs1 = 2, .vs2 = 3}), Outcome::kDone);
    hart.csr.frm = 5;
    EXPECT_EQ(run(vfadd, {.vd = 1, .vs1 = 2, .vs2 = 3}), Outcome::kIllegal);
    hart.csr.frm = 0, hart.csr.mstatus &= ~mstatus::kFs;
    EXPECT_EQ(run(vfadd, {.vd = 1, .vs1 = 2, .vs2 = 3}), Outcome::kIllegal);
}

TEST_F(Vector, StateSurvivesSavingAndWildStatesAreMadeLegal) {
    configured(3, kE32M1);
    hart.vector.registers[77] = 9, hart.vector.vxrm = 2;
    StateWriter writer;
    hart.fields(writer);
    auto document = writer.finish();
    Hart restored;
    restored.vector.reset(128);
    auto reader = StateReader::parse(document);
    ASSERT_TRUE(reader);
    ASSERT_TRUE(restore(restored, *reader));
    EXPECT_EQ(restored.vector.registers, hart.vector.registers);
    EXPECT_EQ(restored.vector.vl, 3u);
    EXPECT_EQ(restored.vector.vxrm, 2);
    EXPECT_EQ(restored.csr.mstatus & mstatus::kVs, mstatus::kVs);

    restored.vector.vl = 1000, restored.vector.vstart = ~uint64_t{0};
    restored.make_legal();
    EXPECT_EQ(restored.vector.vl, 4u);
    EXPECT_EQ(restored.vector.vstart, 127u);
    restored.vector.registers.resize(33);
    restored.make_legal();
    EXPECT_FALSE(restored.vector.present());
    EXPECT_EQ(restored.csr.mstatus & mstatus::kVs, 0u);
}

TEST(VectorExtensions, AreNamedExactlyWhenTheyAreThere) {
    EXPECT_EQ(isa_string({}).find("zve"), std::string::npos);
    std::string text = isa_string({.vector_bits = 256});
    EXPECT_TRUE(text.starts_with("rv64imafdcv_")) << text;
    EXPECT_NE(text.find("_zvl256b"), std::string::npos);
    EXPECT_EQ(text.find("_zvl512b"), std::string::npos);
}

}  // namespace
}  // namespace doppel::isa::riscv::vector
