#include "isa/riscv/hart.h"

#include <gtest/gtest.h>

#include "base/saved_state.h"
#include "isa/riscv/test_hart.h"

namespace doppel::isa::riscv {
namespace {

std::vector<uint8_t> saved(Hart& hart) {
    StateWriter writer;
    hart.fields(writer);
    return writer.finish();
}

// The error's message; empty: it was taken.
std::string refusal(Hart& hart, const std::vector<uint8_t>& document) {
    auto reader = StateReader::parse(document);
    if (!reader) return reader.error().message();
    auto done = isa::riscv::restore(hart, *reader);
    return done ? "" : done.error().message();
}

void restore(Hart& hart, const std::vector<uint8_t>& document) {
    ASSERT_EQ(refusal(hart, document), "");
}

TEST(HartState, SurvivesSaveAndRestoreWhole) {
    TestHart before;
    Hart& hart = before.hart;
    for (unsigned i = 1; i < 32; i++) hart.x[i] = i * uint64_t{0x0101'0101'0101'0101}, hart.f[i] = ~hart.x[i];
    hart.pc = 0x8000'0002, hart.privilege = Privilege::kSupervisor, hart.retired = 12345, hart.id = 3;
    hart.host_firmware = true;
    hart.lines.store(irq::bit(irq::kMachineExternal)), hart.pending.store(irq::bit(irq::kSupervisorSoftware));
    for (uint32_t n = 0; n < 4096; n++) {
        if (!csr_name(n).empty() && n != 0x180) (void)csr_write(hart, n, uint64_t{0x0102'0304'0506'0711} * n);
    }
    before.poke(0x180, uint64_t{9} << 60 | 0x1234);
    before.poke(0x300, mstatus::kFs | mstatus::kMprv | mstatus::kSie | mstatus::kMpp);
    before.poke(0x3, 0xa5), before.poke(0x3a0, 0x9f1b'0718), before.poke(0x3b1, 0x1234'5678);

    TestHart after;
    restore(after.hart, saved(hart));
    for (uint32_t n = 0; n < 4096; n++) {
        if (!csr_name(n).empty()) {
            EXPECT_EQ(after.peek(n), before.peek(n)) << csr_name(n);
        }
    }
    EXPECT_EQ(after.hart.x, hart.x);
    EXPECT_EQ(after.hart.f, hart.f);
    EXPECT_EQ(after.hart.pc, hart.pc);
    EXPECT_EQ(after.hart.privilege, hart.privilege);
    EXPECT_EQ(after.hart.retired, hart.retired);
    EXPECT_EQ(after.hart.id, hart.id);
    EXPECT_TRUE(after.hart.host_firmware);
    EXPECT_EQ(after.hart.lines.load(), hart.lines.load());
    EXPECT_EQ(after.hart.pending.load(), hart.pending.load());
    EXPECT_EQ(saved(after.hart), saved(hart));
}

TEST(HartState, RestoredEndsTheReservationAndVoidsTranslations) {
    TestHart before, after;
    after.hart.reservation = {0x1000, 1, 8};
    uint32_t version = after.hart.translation_version;
    restore(after.hart, saved(before.hart));
    EXPECT_EQ(after.hart.reservation.bytes, 0);
    EXPECT_NE(after.hart.translation_version, version);
}

TEST(HartState, OfAnotherVectorLengthIsRefusedAndChangesNothing) {
    for (auto [here, there] : {std::pair{128u, 256u}, {256u, 128u}, {0u, 128u}, {512u, 0u}}) {
        TestHart before, after;
        before.hart.vector.reset(there), after.hart.vector.reset(here);
        before.hart.x[5] = 1, after.hart.x[5] = 2;
        std::string why = refusal(after.hart, saved(before.hart));
        EXPECT_NE(why.find("restore hart: 0: the saved state has "), why.npos) << why;
        EXPECT_NE(why.find("--vlen " + std::to_string(there)), why.npos) << why;
        std::string own = here == 0 ? "no vector registers" : "vector registers of " + std::to_string(here);
        EXPECT_NE(why.find("this machine " + own), why.npos) << why;
        EXPECT_EQ(after.hart.x[5], 2u);
        EXPECT_EQ(after.hart.vector.register_bytes() * 8, here);
        after.hart.vector.reset(there);
        EXPECT_EQ(refusal(after.hart, saved(before.hart)), "");
        EXPECT_EQ(after.hart.x[5], 1u);
    }
}

TEST(HartState, ThatIsDamagedChangesNothing) {
    TestHart machine;
    machine.hart.x[5] = 2, machine.hart.pc = 0x1000;
    StateWriter writer;
    uint64_t pc = 0x2000;
    std::array<uint64_t, 3> too_few{};
    writer.field(1, too_few), writer.field(3, pc);
    EXPECT_NE(refusal(machine.hart, writer.finish()).find("restore hart"), std::string::npos);
    EXPECT_EQ(machine.hart.x[5], 2u);
    EXPECT_EQ(machine.hart.pc, 0x1000u);
}

TEST(HartState, ThatIsHostileIsMadeLegal) {
    TestHart machine;
    Hart& hart = machine.hart;
    constexpr uint64_t kOnes = ~uint64_t{0};
    hart.x.fill(kOnes), hart.pc = kOnes, hart.privilege = static_cast<Privilege>(2);
    auto& csr = hart.csr;
    for (uint64_t* reg :
         {&csr.mstatus, &csr.medeleg, &csr.mideleg, &csr.mie, &csr.mtvec, &csr.stvec, &csr.mepc, &csr.sepc,
          &csr.menvcfg, &csr.senvcfg, &csr.satp, &csr.mcountinhibit, &csr.mcounteren, &csr.mseccfg}) {
        *reg = kOnes;
    }
    csr.mstatus &= ~(uint64_t{1} << 11);  // MPP 2
    csr.fflags = csr.frm = 0xff;
    csr.pmpcfg.fill(0xfe), csr.pmpaddr.fill(kOnes);
    hart.lines.store(kOnes), hart.pending.store(kOnes);
    hart.make_legal();
    EXPECT_EQ(hart.x[0], 0u);
    EXPECT_EQ(hart.x[1], kOnes);
    EXPECT_EQ(hart.pc, kOnes - 1);
    EXPECT_EQ(hart.privilege, Privilege::kMachine);
    EXPECT_EQ(csr.mstatus, mstatus::kUxl64 | mstatus::kSxl64 | 0x7e'61aa);
    EXPECT_EQ(csr.medeleg, 0xb3ffu);
    EXPECT_EQ(csr.mideleg, irq::kSupervisorAll);
    EXPECT_EQ(csr.mie, irq::kSupervisorAll | irq::kMachineAll);
    EXPECT_EQ(csr.mtvec & 2, 0u);
    EXPECT_EQ(csr.stvec & 2, 0u);
    EXPECT_EQ(csr.mepc & csr.sepc & 1, 0u);
    EXPECT_EQ(csr.menvcfg, envcfg::kMachineMask);
    EXPECT_EQ(csr.senvcfg, envcfg::kSupervisorMask);
    EXPECT_EQ(csr.satp, 0u);
    EXPECT_EQ(csr.mcountinhibit, 5u);
    EXPECT_EQ(csr.mseccfg, mseccfg::kMask);
    EXPECT_EQ(csr.mcounteren, 0xffff'ffffu);
    EXPECT_EQ(csr.fflags, 31);
    EXPECT_EQ(csr.frm, 7);
    EXPECT_EQ(csr.pmpcfg[15], 0x9c) << "W without R is reserved";
    EXPECT_EQ(csr.pmpaddr[15], (uint64_t{1} << 54) - 1);
    EXPECT_EQ(hart.lines.load(), irq::kSupervisorAll | irq::kMachineAll);
    EXPECT_EQ(hart.pending.load(), irq::kSupervisorAll);
}

}  // namespace
}  // namespace doppel::isa::riscv
