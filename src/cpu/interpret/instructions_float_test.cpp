#include <algorithm>

#include "cpu/interpret/program_machine.h"
#include "isa/float/format.h"
#include "isa/riscv/csr.h"

namespace doppel::cpu::interpret {
namespace {

using isa::riscv::InstructionId;
namespace mstatus = isa::riscv::mstatus;

constexpr uint64_t kCode = ProgramMachine::kCode;
constexpr uint64_t kData = ProgramMachine::kData;
constexpr uint64_t kBox = 0xffffffff00000000;
constexpr uint64_t kNan32 = kBox | 0x7fc00000, kNan64 = 0x7ff8000000000000;
constexpr uint64_t kOne32 = kBox | 0x3f800000, kOne64 = 0x3ff0000000000000;
constexpr uint64_t kTwo32 = kBox | 0x40000000, kTwo64 = 0x4000000000000000;
constexpr uint64_t kThree32 = kBox | 0x40400000, kThree64 = 0x4008000000000000;
constexpr uint64_t kThird64 = 0x3fd5555555555555;  // 1/3 rounded down
constexpr uint64_t kMinus64 = uint64_t{1} << 63;

// fa0 (or a0) = line of fa1, fa2, fa3.
struct FloatCase {
    const char* line;
    uint64_t fa1, fa2, fa3;
    uint64_t result;
    unsigned flags;
};

void expect_float_results(std::initializer_list<FloatCase> cases) {
    ProgramMachine m;
    for (const FloatCase& one : cases) {
        SCOPED_TRACE(testing::Message() << one.line << std::hex << " " << one.fa1 << " " << one.fa2 << " " << one.fa3);
        m.f("fa1") = one.fa1, m.f("fa2") = one.fa2, m.f("fa3") = one.fa3;
        m.f("fa0") = m.x("a0") = 0x5555;
        m.hart.csr.fflags = 0;
        m.execute({one.line});
        bool to_integer = std::string_view(one.line).find(" a0") != std::string_view::npos;
        EXPECT_EQ(to_integer ? m.x("a0") : m.f("fa0"), one.result);
        EXPECT_EQ(m.hart.csr.fflags, one.flags);
    }
}

TEST(FloatArithmetic, ComputesAndAccruesFlags) {
    constexpr unsigned kNx = isa::fp::kInexact, kNv = isa::fp::kInvalid, kDz = isa::fp::kDivideByZero;
    expect_float_results({
        {"fadd.d fa0, fa1, fa2", kOne64, kTwo64, 0, kThree64, 0},
        {"fsub.d fa0, fa1, fa2", kThree64, kTwo64, 0, kOne64, 0},
        {"fmul.s fa0, fa1, fa2", kOne32, kThree32, 0, kThree32, 0},
        {"fdiv.d fa0, fa1, fa2", kOne64, kThree64, 0, kThird64, kNx},
        {"fdiv.d fa0, fa1, fa2, rup", kOne64, kThree64, 0, kThird64 + 1, kNx},
        {"fdiv.s fa0, fa1, fa2", kOne32, kBox, 0, kBox | 0x7f800000, kDz},
        {"fsqrt.d fa0, fa1", kMinus64 | kOne64, 0, 0, kNan64, kNv},
        {"fmadd.d fa0, fa1, fa2, fa3", kOne64, kTwo64, kOne64, kThree64, 0},
        {"fmsub.d fa0, fa1, fa2, fa3", kThree64, kOne64, kTwo64, kOne64, 0},
        {"fnmsub.d fa0, fa1, fa2, fa3", kOne64, kTwo64, kThree64, kOne64, 0},
        {"fnmadd.d fa0, fa1, fa2, fa3", kOne64, kTwo64, kOne64, kMinus64 | kThree64, 0},
        {"fmin.d fa0, fa1, fa2", kNan64, kOne64, 0, kOne64, 0},
        {"fmax.s fa0, fa1, fa2", kOne32, kTwo32, 0, kTwo32, 0},
        {"fmin.s fa0, fa1, fa2", kBox, kBox | 0x80000000, 0, kBox | 0x80000000, 0},
        {"feq.d a0, fa1, fa2", kNan64, kOne64, 0, 0, 0},
        {"flt.d a0, fa1, fa2", kNan64, kOne64, 0, 0, kNv},
        {"fle.s a0, fa1, fa2", kOne32, kOne32, 0, 1, 0},
        {"fclass.d a0, fa1", kNan64, 0, 0, 1 << 9, 0},
        {"fclass.s a0, fa1", kBox | 0xff800000, 0, 0, 1, 0},
    });
}

TEST(FloatConversions, SaturateAndSignExtend) {
    constexpr unsigned kNx = isa::fp::kInexact, kNv = isa::fp::kInvalid;
    expect_float_results({
        {"fcvt.w.d a0, fa1, rtz", kNan64, 0, 0, 0x7fffffff, kNv},
        {"fcvt.wu.d a0, fa1, rtz", kNan64, 0, 0, ~uint64_t{0}, kNv},
        {"fcvt.wu.d a0, fa1, rtz", kMinus64 | kOne64, 0, 0, 0, kNv},
        {"fcvt.wu.s a0, fa1, rtz", kBox | 0x4f000000, 0, 0, 0xffffffff80000000, 0},
        {"fcvt.w.s a0, fa1, rup", kBox | 0x3fc00000, 0, 0, 2, kNx},
        {"fcvt.l.s a0, fa1, rtz", kBox | 0xdf000000, 0, 0, uint64_t{1} << 63, 0},
        {"fcvt.lu.d a0, fa1, rtz", kThree64, 0, 0, 3, 0},
        {"fcvt.s.d fa0, fa1", kThree64, 0, 0, kThree32, 0},
        {"fcvt.d.s fa0, fa1", kThree32, 0, 0, kThree64, 0},
        {"fcvt.d.s fa0, fa1", kBox | 0x7f800001, 0, 0, kNan64, kNv},
    });
    ProgramMachine m;
    m.x("a1") = 0xdeadbeeffffffffd;
    m.execute({"fcvt.d.w fa0, a1", "fcvt.d.wu fa1, a1", "fcvt.s.w fa2, a1", "fcvt.d.l fa3, zero"});
    EXPECT_EQ(m.f("fa0"), kMinus64 | kThree64);
    EXPECT_EQ(m.f("fa1"), 0x41efffffffa00000u);
    EXPECT_EQ(m.f("fa2"), kBox | 0xc0400000);
    EXPECT_EQ(m.f("fa3"), 0u);
}

// Unprivileged manual, "D", "NaN Boxing of Narrower Values".
TEST(NanBoxing, MakesBadlyBoxedOperandsNan) {
    expect_float_results({
        {"fadd.s fa0, fa1, fa2", 0x3f800000, kOne32, 0, kNan32, 0},
        {"fsgnj.s fa0, fa1, fa2", 0x3f800000, kOne32, 0, kNan32, 0},
        {"fsgnjn.s fa0, fa1, fa2", kOne32, 0xfffffffe80000000, 0, kBox | 0xbf800000, 0},
        {"fclass.s a0, fa1", 0x3f800000, 0, 0, 1 << 9, 0},
        {"fmv.x.w a0, fa1", 0x1234567880000000, 0, 0, 0xffffffff80000000, 0},
        {"fmv.x.d a0, fa1", 0x1234567880000000, 0, 0, 0x1234567880000000, 0},
    });
}

TEST(NanBoxing, MovesAndLoadsBoxNarrowValues) {
    ProgramMachine m;
    m.store<uint64_t>(kData, 0x1111111180000001);
    m.x("a1") = kData, m.x("a2") = 0xdead00000003;
    m.f("fa4") = 0x123456789abcdef0;
    m.execute({"flw fa0, 0(a1)", "fmv.w.x fa1, a2", "fmv.d.x fa2, a2", "fld fa3, 0(a1)", "fsw fa4, 8(a1)",
               "fsd fa4, 16(a1)"});
    EXPECT_EQ(m.f("fa0"), kBox | 0x80000001);
    EXPECT_EQ(m.f("fa1"), kBox | 3);
    EXPECT_EQ(m.f("fa2"), 0xdead00000003u);
    EXPECT_EQ(m.f("fa3"), 0x1111111180000001u);
    EXPECT_EQ(m.load<uint64_t>(kData + 8), 0x9abcdef0u);
    EXPECT_EQ(m.load<uint64_t>(kData + 16), 0x123456789abcdef0u);
}

TEST(SignInjection, CopiesNegatesAndCombinesSigns) {
    constexpr uint64_t kSignalling = 0x7ff0000000000001;
    expect_float_results({
        {"fsgnj.d fa0, fa1, fa2", kSignalling, kMinus64, 0, kMinus64 | kSignalling, 0},
        {"fsgnjn.d fa0, fa1, fa2", kOne64, kOne64, 0, kMinus64 | kOne64, 0},
        {"fsgnjx.d fa0, fa1, fa2", kMinus64 | kOne64, kMinus64, 0, kOne64, 0},
        {"fsgnj.s fa0, fa1, fa2", kOne32, kBox | 0x80000000, 0, kBox | 0xbf800000, 0},
    });
}

TEST(RoundingModes, AreTakenFromFrmWhenDynamic) {
    ProgramMachine m;
    m.f("fa1") = kOne64, m.f("fa2") = kThree64;
    m.execute({"csrrwi a0, frm, 3", "fdiv.d fa0, fa1, fa2", "csrrwi a1, frm, 2", "fdiv.d fa3, fa1, fa2",
               "csrrs a2, fcsr, zero"});
    EXPECT_EQ(m.f("fa0"), kThird64 + 1);
    EXPECT_EQ(m.f("fa3"), kThird64);
    EXPECT_EQ(m.x("a1"), 3u);
    EXPECT_EQ(m.x("a2"), 2u << 5 | isa::fp::kInexact);
}

TEST(RoundingModes, AreIllegalWhenReserved) {
    ProgramMachine m;
    for (const char* name : {"fadd.d fa0, fa1, fa2, ", "fsqrt.s fa0, fa1, ", "fcvt.w.d a0, fa1, ", "fcvt.d.w fa0, a1, ",
                             "fmadd.s fa0, fa1, fa2, fa3, "}) {
        for (const char* mode : {"reserved5", "reserved6"}) {
            uint32_t bits = ProgramMachine::assemble(std::string(name) + mode);
            EXPECT_EQ(m.run_bits(bits), ProgramMachine::illegal(kCode, bits)) << name << mode;
        }
        for (uint8_t reserved : {5, 6, 7}) {
            m.hart.csr.frm = reserved;
            uint32_t dynamic = ProgramMachine::assemble(std::string(name) + "dyn");
            EXPECT_EQ(m.run_bits(dynamic), ProgramMachine::illegal(kCode, dynamic)) << name << int{reserved};
            m.execute(
                {std::string(name) + "rne", "fsgnj.d fa4, fa1, fa1", "fmin.s fa4, fa1, fa1", "feq.d a3, fa1, fa1"});
        }
    }
}

bool is_float(const isa::riscv::InstructionInfo& line) {
    bool reserved = line.operands == &isa::riscv::formats::CIllegal;
    return !reserved && (line.extension == "F" || line.extension == "D");
}

TEST(FloatUnit, IsIllegalWhenOff) {
    ProgramMachine m;
    m.hart.csr.mstatus &= ~mstatus::kFs;
    size_t tried = 0;
    for (size_t i = 0; i + 1 < isa::riscv::kInstructionCount; i++) {
        const auto& line = isa::riscv::info(static_cast<InstructionId>(i));
        if (!is_float(line)) continue;
        EXPECT_EQ(m.run_bits(line.match), ProgramMachine::illegal(kCode, line.match)) << line.name;
        tried++;
    }
    EXPECT_EQ(tried, 62u + 4u) << "F and D of RV64, and C's four";
    for (const char* csr : {"fflags", "frm", "fcsr"}) {
        uint32_t bits = ProgramMachine::assemble(std::string("csrrs a0, ") + csr + ", zero");
        EXPECT_EQ(m.run_bits(bits), ProgramMachine::illegal(kCode, bits)) << csr;
    }
}

TEST(FloatUnit, BecomesDirtyByWritesAndFlags) {
    ProgramMachine m;
    constexpr uint64_t kClean = 2 << 13;
    auto status_after = [&](const char* line) {
        m.hart.csr.mstatus = (m.hart.csr.mstatus & ~mstatus::kFs) | kClean;
        m.hart.csr.fflags = 0;
        m.f("fa1") = kNan64, m.f("fa2") = kOne64;
        m.x("a1") = kData;
        m.execute({line});
        return m.hart.csr.mstatus & mstatus::kFs;
    };
    for (const char* line :
         {"flw fa0, 0(a1)", "fld fa0, 0(a1)", "fmv.d.x fa0, a1", "fmv.w.x fa0, a1", "fadd.d fa0, fa2, fa2",
          "fsgnj.s fa0, fa1, fa1", "flt.d a0, fa1, fa1", "csrrwi zero, fflags, 1", "csrrwi zero, frm, 0"}) {
        EXPECT_EQ(status_after(line), mstatus::kFs) << line;
    }
    for (const char* line :
         {"fsw fa1, 0(a1)", "fmv.x.d a0, fa1", "feq.d a0, fa2, fa2", "fclass.s a0, fa1", "csrrs a0, fcsr, zero"}) {
        EXPECT_EQ(status_after(line), kClean) << line;
    }
}

TEST(FloatRegisters, HaveARegisterZeroThatIsWritten) {
    ProgramMachine m;
    m.x("a1") = 42;
    m.execute({"fmv.d.x ft0, a1", "fadd.d fa0, ft0, ft0"});
    EXPECT_EQ(m.f("ft0"), 42u);
    EXPECT_EQ(m.f("fa0"), 84u);
}

}  // namespace
}  // namespace doppel::cpu::interpret
