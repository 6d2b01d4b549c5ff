#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

namespace cause = isa::riscv::cause;
constexpr uint64_t kCode = ProgramMachine::kCode;

std::string at(uint64_t address) {
    return std::to_string(address);
}

TEST(Branches, CompareSignedAndUnsigned) {
    struct Case {
        const char* mnemonic;
        uint64_t a1, a2;
        bool taken;
    };
    constexpr uint64_t kOnes = ~uint64_t{0};
    ProgramMachine m;
    for (const Case& one : {Case{"beq", 1, 1, true},
                            {"beq", 1, uint64_t{1} << 32 | 1, false},
                            {"bne", 1, 1, false},
                            {"bne", 0, uint64_t{1} << 63, true},
                            {"blt", kOnes, 1, true},
                            {"blt", 1, 1, false},
                            {"bge", 1, 1, true},
                            {"bge", kOnes, 1, false},
                            {"bltu", 1, kOnes, true},
                            {"bltu", kOnes, 1, false},
                            {"bgeu", kOnes, 1, true},
                            {"bgeu", 1, kOnes, false}}) {
        m.x("a0") = 0, m.x("a1") = one.a1, m.x("a2") = one.a2;
        m.execute({std::string(one.mnemonic) + " a1, a2, " + at(kCode + 8), "addi a0, a0, 1", "addi a0, a0, 2"});
        EXPECT_EQ(m.x("a0"), one.taken ? 2u : 3u) << one.mnemonic;
    }
}

TEST(Branches, GoBackwards) {
    ProgramMachine m;
    m.x("a1") = 10;
    m.execute({"add a0, a0, a1", "addi a1, a1, -1", "bne a1, zero, " + at(kCode)});
    EXPECT_EQ(m.x("a0"), 55u);
    EXPECT_EQ(m.hart.retired, 3u * 10 + 1);
}

TEST(Jumps, LinkToTheInstructionBehind) {
    ProgramMachine m;
    m.execute({"jal ra, " + at(kCode + 8), "ebreak", "auipc a1, 0x0", "jalr a2, 13(a1)", "ebreak", "c.nop"});
    EXPECT_EQ(m.x("ra"), kCode + 4);
    EXPECT_EQ(m.x("a2"), kCode + 16) << "the target's lowest bit is ignored";
}

TEST(Jumps, ReadTheirRegisterBeforeTheyWriteIt) {
    ProgramMachine m;
    m.execute({"auipc ra, 0x0", "jalr ra, 12(ra)", "ebreak", "auipc ra, 0x0", "addi ra, ra, 12", "c.jalr ra",
               "c.ebreak", "c.nop"});
    EXPECT_EQ(m.x("ra"), kCode + 12 + 8 + 2);
}

TEST(Jumps, ReachHalfwords) {
    ProgramMachine m;
    m.execute({"c.nop", "jal zero, " + at(kCode + 8), "c.ebreak", "addi a0, zero, 5", "c.j " + at(kCode + 16),
               "c.ebreak", "c.nop"});
    EXPECT_EQ(m.x("a0"), 5u);
}

TEST(Traps, TellTheCauseOfEnvironmentCallsAndBreakpoints) {
    ProgramMachine m;
    EXPECT_EQ(m.run({"ecall"}), (Trap{cause::kEcallMachine, kCode, 0}));
    EXPECT_EQ(m.run({"c.ebreak"}), (Trap{cause::kBreakpoint, kCode, kCode}));
    EXPECT_EQ(m.run({"c.nop", "ebreak"}), (Trap{cause::kBreakpoint, kCode + 2, kCode + 2}));
}

TEST(IllegalInstructions, AreReportedWithTheirBits) {
    ProgramMachine m;
    for (uint32_t bits : {0xffffffffu, 0x0000007fu, 0x00000073u | 0x7ff00000u, 0x02001013u | 1u << 27, 0x4000403bu,
                          0x1000302fu | 1u << 20, 0x0000001fu, 0x0000003fu}) {
        EXPECT_EQ(m.run_bits(bits), ProgramMachine::illegal(kCode, bits)) << std::hex << bits;
        uint64_t crossing = kCode + 0xffe;
        EXPECT_EQ(m.run_bits(bits, crossing), ProgramMachine::illegal(crossing, bits))
            << std::hex << bits << " across pages";
    }
    uint32_t unknown_csr = ProgramMachine::assemble("csrrw a0, 0x123, a1");
    EXPECT_EQ(m.run_bits(unknown_csr), ProgramMachine::illegal(kCode, unknown_csr));
}

TEST(IllegalInstructions, DoNotRetireAndChangeNothing) {
    ProgramMachine m;
    m.execute({"addi a0, zero, 1"});
    auto before = m.hart.x;
    uint64_t retired = m.hart.retired;
    m.run_bits(0xffffffff);
    EXPECT_EQ(m.hart.x, before);
    EXPECT_EQ(m.hart.retired, retired + 1) << "the handler's wfi";
}

}  // namespace
}  // namespace doppel::cpu::interpret
