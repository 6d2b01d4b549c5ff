#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

namespace cause = isa::riscv::cause;
constexpr uint64_t kData = ProgramMachine::kData;
constexpr uint64_t kCode = ProgramMachine::kCode;

struct AmoCase {
    const char* mnemonic;
    uint64_t memory, operand, after;
};

void expect_amo(std::initializer_list<AmoCase> cases, bool word) {
    ProgramMachine m;
    for (const AmoCase& one : cases) {
        for (const char* order : {"", ".aq", ".rl", ".aqrl"}) {
            SCOPED_TRACE(testing::Message()
                         << one.mnemonic << order << std::hex << " " << one.memory << ", " << one.operand);
            m.store<uint64_t>(kData, one.memory);
            m.x("a1") = kData, m.x("a2") = one.operand;
            m.execute({std::string(one.mnemonic) + order + " a0, a2, (a1)"});
            uint64_t old =
                word ? static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(one.memory))) : one.memory;
            EXPECT_EQ(m.x("a0"), old);
            EXPECT_EQ(m.load<uint64_t>(kData), one.after);
        }
    }
}

TEST(AtomicOperations, WorkOnWordsAndLeaveTheRest) {
    expect_amo({{"amoswap.w", 0x1111111180000000, 0xffffffff00000001, 0x1111111100000001},
                {"amoadd.w", 0x11111111ffffffff, 1, 0x1111111100000000},
                {"amoxor.w", 0x11111111000000ff, 0x0f, 0x11111111000000f0},
                {"amoand.w", 0x11111111000000ff, 0x0f, 0x111111110000000f},
                {"amoor.w", 0x1111111100000001, 0xff00000010, 0x1111111100000011},
                {"amomin.w", 0x1111111180000000, 1, 0x1111111180000000},
                {"amomin.w", 0x1111111100000001, 0x80000000, 0x1111111180000000},
                {"amomax.w", 0x1111111180000000, 1, 0x1111111100000001},
                {"amominu.w", 0x1111111180000000, 1, 0x1111111100000001},
                {"amomaxu.w", 0x1111111180000000, 1, 0x1111111180000000},
                {"amomaxu.w", 0x1111111100000001, 0x500000000, 0x1111111100000001}},
               true);
}

TEST(AtomicOperations, WorkOnDoubleWords) {
    constexpr uint64_t kMin = uint64_t{1} << 63;
    expect_amo({{"amoswap.d", kMin, 5, 5},
                {"amoadd.d", ~uint64_t{0}, 2, 1},
                {"amoxor.d", 0xff, 0xf0, 0x0f},
                {"amoand.d", 0xff, 0xf0, 0xf0},
                {"amoor.d", 0x0f, 0xf0, 0xff},
                {"amomin.d", kMin, 1, kMin},
                {"amomax.d", kMin, 1, 1},
                {"amominu.d", kMin, 1, 1},
                {"amomaxu.d", kMin, 1, kMin}},
               false);
}

TEST(AtomicOperations, MustBeAligned) {
    ProgramMachine m;
    m.x("a1") = kData + 4;
    EXPECT_EQ(m.run({"amoadd.d a0, a2, (a1)"}), (Trap{cause::kStoreMisaligned, kCode, kData + 4}));
    EXPECT_EQ(m.run({"lr.d a0, (a1)"}), (Trap{cause::kLoadMisaligned, kCode, kData + 4}));
    EXPECT_EQ(m.run({"sc.d a0, a2, (a1)"}), (Trap{cause::kStoreMisaligned, kCode, kData + 4}));
    m.x("a1") = kData + 2;
    EXPECT_EQ(m.run({"amoswap.w a0, a2, (a1)"}), (Trap{cause::kStoreMisaligned, kCode, kData + 2}));
}

TEST(AtomicOperations, FaultOutsideOfMemory) {
    ProgramMachine m;
    m.x("a1") = 0x40000000;
    EXPECT_EQ(m.run({"amoadd.d a0, a2, (a1)"}), (Trap{cause::kStoreAccess, kCode, 0x40000000}));
    EXPECT_EQ(m.run({"lr.w a0, (a1)"}), (Trap{cause::kLoadAccess, kCode, 0x40000000}));
    EXPECT_EQ(m.run({"sc.w a0, a2, (a1)"}), (Trap{cause::kStoreAccess, kCode, 0x40000000}));
}

class StoreConditional : public testing::Test {
  protected:
    // Runs the lines with a1 at memory that holds 0x80000001, a2 = 9; returns what sc left in a0.
    uint64_t result(const std::vector<std::string>& lines) {
        m.store<uint64_t>(kData, 0x80000001);
        m.store<uint64_t>(kData + 8, 0x80000001);
        m.x("a0") = 0x55, m.x("a1") = kData, m.x("a2") = 9, m.x("a3") = kData + 8;
        m.execute(lines);
        return m.x("a0");
    }
    ProgramMachine m;
};

TEST_F(StoreConditional, StoresUnderAReservation) {
    EXPECT_EQ(result({"lr.w a4, (a1)", "sc.w a0, a2, (a1)"}), 0u);
    EXPECT_EQ(m.x("a4"), 0xffffffff80000001);
    EXPECT_EQ(m.load<uint64_t>(kData), 9u);
    EXPECT_EQ(result({"lr.d.aq a4, (a1)", "addi a5, a5, 1", "sc.d.rl a0, a2, (a1)"}), 0u);
    EXPECT_EQ(m.x("a4"), 0x80000001u);
    EXPECT_EQ(m.load<uint64_t>(kData), 9u);
}

TEST_F(StoreConditional, FailsWithoutAReservation) {
    EXPECT_EQ(result({"sc.w a0, a2, (a1)"}), 1u);
    EXPECT_EQ(m.load<uint64_t>(kData), 0x80000001u);
}

TEST_F(StoreConditional, UsesTheReservationUp) {
    EXPECT_EQ(result({"lr.w a4, (a1)", "sc.w a4, a2, (a1)", "sc.w a0, a2, (a1)"}), 1u);
    EXPECT_EQ(result({"lr.w a4, (a1)", "sc.w a4, a2, (a3)", "sc.w a0, a2, (a1)"}), 1u) << "even when it fails";
}

TEST_F(StoreConditional, FailsElsewhere) {
    EXPECT_EQ(result({"lr.d a4, (a1)", "sc.d a0, a2, (a3)"}), 1u);
    EXPECT_EQ(m.load<uint64_t>(kData + 8), 0x80000001u);
}

TEST_F(StoreConditional, FailsWhenMemoryChanged) {
    EXPECT_EQ(result({"lr.w a4, (a1)", "sb a2, 1(a1)", "sc.w a0, a2, (a1)"}), 1u);
    EXPECT_EQ(m.load<uint64_t>(kData), 0x80000901u);
}

TEST_F(StoreConditional, FollowsTheLatestReservation) {
    EXPECT_EQ(result({"lr.w a4, (a1)", "lr.w a4, (a3)", "sc.w a0, a2, (a1)"}), 1u);
    EXPECT_EQ(result({"lr.w a4, (a1)", "lr.w a4, (a3)", "sc.w a0, a2, (a3)"}), 0u);
}

TEST_F(StoreConditional, FailsAfterATrap) {
    // The handler returns behind the ecall.
    uint64_t handler = ProgramMachine::kRam + 0x2000;
    m.put(handler, {"csrrs t0, mepc, zero", "addi t0, t0, 4", "csrrw zero, mepc, t0", "addi t1, zero, -1", "mret"});
    m.x("t2") = handler, m.x("t3") = ProgramMachine::kHandler;
    EXPECT_EQ(result({"csrrw zero, mtvec, t2", "lr.w a4, (a1)", "ecall", "sc.w a0, a2, (a1)", "csrrw zero, mtvec, t3"}),
              1u);
    EXPECT_EQ(m.x("t1"), ~uint64_t{0});
}

}  // namespace
}  // namespace doppel::cpu::interpret
