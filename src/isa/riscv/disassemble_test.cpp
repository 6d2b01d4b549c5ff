#include <gtest/gtest.h>

#include "isa/riscv/assemble.h"

namespace doppel::isa::riscv {
namespace {

struct Line {
    uint32_t bits;
    const char* text;
};
constexpr uint64_t kPc = 0x80001000;

// Bits and text as GNU as and objdump relate them.
constexpr Line kLines[] = {
    {0x12345537, "lui a0, 0x12345"},
    {0xfffff517, "auipc a0, 0xfffff"},
    {0x0000006f, "jal zero, 0x80001000"},
    {0xffdff0ef, "jal ra, 0x80000ffc"},
    {0x00008067, "jalr zero, 0(ra)"},
    {0x00c58463, "beq a1, a2, 0x80001008"},
    {0xfec5eee3, "bltu a1, a2, 0x80000ffc"},
    {0xff85b503, "ld a0, -8(a1)"},
    {0x7ea5bfa3, "sd a0, 2047(a1)"},
    {0xffd58513, "addi a0, a1, -3"},
    {0x03f59513, "slli a0, a1, 63"},
    {0x4055d51b, "sraiw a0, a1, 5"},
    {0x00c58533, "add a0, a1, a2"},
    {0x01ee8fb3, "add t6, t4, t5"},
    {0x0ff0000f, "fence iorw, iorw"},
    {0x0310000f, "fence rw, w"},
    {0x8330000f, "fence rw, rw"},
    {0x0100000f, "pause"},
    {0x0000100f, "fence.i"},
    {0x00000073, "ecall"},
    {0x00100073, "ebreak"},
    {0x30529073, "csrrw zero, mtvec, t0"},
    {0x0010a573, "csrrs a0, fflags, ra"},
    {0x12302573, "csrrs a0, 0x123, zero"},
    {0x3a0fd573, "csrrwi a0, pmpcfg0, 31"},
    {0x3b106573, "csrrsi a0, pmpaddr1, 0"},
    {0x10200073, "sret"},
    {0x30200073, "mret"},
    {0x10500073, "wfi"},
    {0x12c58073, "sfence.vma a1, a2"},
    {0x16b50073, "sinval.vma a0, a1"},
    {0x18000073, "sfence.w.inval"},
    {0x18100073, "sfence.inval.ir"},
    {0x02c58533, "mul a0, a1, a2"},
    {0x1005a52f, "lr.w a0, (a1)"},
    {0x1605b52f, "lr.d.aqrl a0, (a1)"},
    {0x1ac5a52f, "sc.w.rl a0, a2, (a1)"},
    {0x04c5b52f, "amoadd.d.aq a0, a2, (a1)"},
    {0x0045a507, "flw fa0, 4(a1)"},
    {0xfea5be27, "fsd fa0, -4(a1)"},
    {0x68c5f543, "fmadd.s fa0, fa1, fa2, fa3"},
    {0x6ac59543, "fmadd.d fa0, fa1, fa2, fa3, rtz"},
    {0x00c58553, "fadd.s fa0, fa1, fa2, rne"},
    {0x00c5f553, "fadd.s fa0, fa1, fa2"},
    {0x5a05c553, "fsqrt.d fa0, fa1, rmm"},
    {0x20c58553, "fsgnj.s fa0, fa1, fa2"},
    {0xa2c5a553, "feq.d a0, fa1, fa2"},
    {0xc0059553, "fcvt.w.s a0, fa1, rtz"},
    {0xd235f553, "fcvt.d.lu fa0, a1"},
    {0xe2059553, "fclass.d a0, fa1"},
    {0xf0058553, "fmv.w.x fa0, a1"},
    {0x20c5a533, "sh1add a0, a1, a2"},
    {0x0805c53b, "zext.h a0, a1"},
    {0x6b85d513, "rev8 a0, a1"},
    {0x2875d513, "orc.b a0, a1"},
    {0x60059513, "clz a0, a1"},
    {0x49f59513, "bclri a0, a1, 31"},
    {0x0ac59533, "clmul a0, a1, a2"},
    {0x0ac5a533, "clmulr a0, a1, a2"},
    {0x0ac5b533, "clmulh a0, a1, a2"},
    {0x08c5c533, "pack a0, a1, a2"},
    {0x08c5f533, "packh a0, a1, a2"},
    {0x08c5c53b, "packw a0, a1, a2"},
    {0x6875d513, "brev8 a0, a1"},
    {0x28c5a533, "xperm4 a0, a1, a2"},
    {0x28c5c533, "xperm8 a0, a1, a2"},
    {0x32c58533, "aes64es a0, a1, a2"},
    {0x36c58533, "aes64esm a0, a1, a2"},
    {0x31a59513, "aes64ks1i a0, a1, 10"},
    {0x7ec58533, "aes64ks2 a0, a1, a2"},
    {0x3ac58533, "aes64ds a0, a1, a2"},
    {0x3ec58533, "aes64dsm a0, a1, a2"},
    {0x30059513, "aes64im a0, a1"},
    {0x10059513, "sha256sum0 a0, a1"},
    {0x10159513, "sha256sum1 a0, a1"},
    {0x10259513, "sha256sig0 a0, a1"},
    {0x10359513, "sha256sig1 a0, a1"},
    {0x10459513, "sha512sum0 a0, a1"},
    {0x10559513, "sha512sum1 a0, a1"},
    {0x10659513, "sha512sig0 a0, a1"},
    {0x10759513, "sha512sig1 a0, a1"},
    {0xf0c58533, "sm4ed a0, a1, a2, 3"},
    {0x74c58533, "sm4ks a0, a1, a2, 1"},
    {0x10859513, "sm3p0 a0, a1"},
    {0x10959513, "sm3p1 a0, a1"},
    {0x01501573, "csrrw a0, seed, zero"},
    {0x74759573, "csrrw a0, mseccfg, a1"},
    {0x0ec5d533, "czero.eqz a0, a1, a2"},
    {0x0015200f, "cbo.clean (a0)"},
    {0x0045200f, "cbo.zero (a0)"},
    {0x0048, "c.addi4spn a0, sp, 4"},
    {0x4188, "c.lw a0, 0(a1)"},
    {0x2188, "c.fld fa0, 0(a1)"},
    {0xe588, "c.sd a0, 8(a1)"},
    {0x0001, "c.nop"},
    {0x157d, "c.addi a0, -1"},
    {0x357d, "c.addiw a0, -1"},
    {0x4505, "c.li a0, 1"},
    {0x7139, "c.addi16sp sp, -64"},
    {0x757d, "c.lui a0, 0xfffff"},
    {0x9501, "c.srai a0, 32"},
    {0x8d0d, "c.sub a0, a1"},
    {0xa001, "c.j 0x80001000"},
    {0xc109, "c.beqz a0, 0x80001002"},
    {0x1502, "c.slli a0, 32"},
    {0x6522, "c.ldsp a0, 8(sp)"},
    {0x8082, "c.jr ra"},
    {0x9502, "c.jalr a0"},
    {0x9002, "c.ebreak"},
    {0x852e, "c.mv a0, a1"},
    {0x952e, "c.add a0, a1"},
    {0xe42a, "c.sdsp a0, 8(sp)"},
    {0xa42a, "c.fsdsp fa0, 8(sp)"},
};

TEST(Disassemble, WritesWhatTheGnuAssemblerReads) {
    for (const Line& line : kLines) EXPECT_EQ(disassemble(line.bits, kPc), line.text) << std::hex << line.bits;
}

TEST(Disassemble, WritesBitsItDoesNotKnowAsData) {
    EXPECT_EQ(disassemble(0xffffffff, kPc), ".4byte 0xffffffff");
    EXPECT_EQ(disassemble(0x0000001f, kPc), ".4byte 0x0000001f");
    EXPECT_EQ(disassemble(0xdead0000, kPc), ".2byte 0x0000");
    EXPECT_EQ(disassemble(0x00c5d553, kPc), "fadd.s fa0, fa1, fa2, reserved5");
}

TEST(Disassemble, WrapsTargetsLikeAddresses) {
    EXPECT_EQ(disassemble(0xffdff06f, 0), "jal zero, 0xfffffffffffffffc");
}

TEST(Assemble, ReadsWhatTheDisassemblerWrites) {
    for (const Line& line : kLines) {
        auto bits = assemble(line.text, kPc);
        ASSERT_TRUE(bits) << bits.error().message();
        uint32_t ignored = line.bits >> 28 == 8 && (line.bits & 0x7f) == 0x0f ? 0xf0000000 : 0;  // the fence's mode
        EXPECT_EQ(*bits, line.bits & ~ignored) << line.text;
    }
}

TEST(Assemble, InvertsTheDisassemblerForAllBits) {
    auto check = [](uint32_t bits) {
        if (decode(bits).id == InstructionId::k_illegal) return;
        std::string text = disassemble(bits, kPc);
        auto again = assemble(text, kPc);
        // The one set of bits that fence's ignored ones keep from being the hint.
        if (text == "fence w, 0") return;
        ASSERT_TRUE(again) << text << ": " << again.error().message();
        EXPECT_EQ(disassemble(*again, kPc), text);
    };
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        if (length_of(bits) == 2) check(bits);
    }
    uint64_t state = 7;
    for (size_t i = 0; i < 100'000; i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        const InstructionInfo& line = info(static_cast<InstructionId>(i % (kInstructionCount - 1)));
        check((static_cast<uint32_t>(state >> 32) & ~line.mask) | line.match);
    }
}

TEST(Assemble, RefusesWhatDoesNotFit) {
    for (const char* text : {"",
                             "frobnicate a0, a1",
                             "addi",
                             "addi a0, a1",
                             "addi a0, a1, 2048",
                             "addi a0, a1, -2049",
                             "addi a0, a1, 1, 2",
                             "addi a0, fa1, 1",
                             "addi a0, x11, 1",
                             "slli a0, a1, 64",
                             "slliw a0, a1, 32",
                             "lui a0, 0x100000",
                             "beq a0, a1, 0x80001001",
                             "beq a0, a1, 0x80002000",
                             "jal ra, 0x80101000",
                             "ld a0, 8[a1]",
                             "csrrw a0, nosuch, a1",
                             "csrrwi a0, fcsr, 32",
                             "fadd.s fa0, fa1, fa2, up",
                             "fence x, w",
                             "c.lw a0, 128(a1)",
                             "c.lw a0, 2(a1)",
                             "c.lw t0, 0(a1)",
                             "c.addi16sp sp, 8",
                             "c.addi4spn a0, sp, 0",
                             "c.lwsp zero, 0(sp)",
                             "c.mv a0, zero",
                             "add.aq a0, a1, a2",
                             "amoadd.d.acq a0, a1, (a2)",
                             "illegal",
                             "c.reserved0"}) {
        EXPECT_FALSE(assemble(text, kPc)) << text;
    }
}

TEST(RegisterNames, AreThoseOfTheAbi) {
    EXPECT_EQ(integer_register_name(0), "zero");
    EXPECT_EQ(integer_register_name(8), "s0");
    EXPECT_EQ(integer_register_name(31), "t6");
    EXPECT_EQ(float_register_name(0), "ft0");
    EXPECT_EQ(float_register_name(28), "ft8");
}

}  // namespace
}  // namespace doppel::isa::riscv
