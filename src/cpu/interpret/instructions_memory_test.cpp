#include <array>

#include "cpu/interpret/program_machine.h"

namespace doppel::cpu::interpret {
namespace {

namespace cause = isa::riscv::cause;
constexpr uint64_t kData = ProgramMachine::kData;
constexpr uint64_t kCode = ProgramMachine::kCode;

TEST(Loads, ExtendBySign) {
    ProgramMachine m;
    m.store<uint64_t>(kData, 0xfedcba9876543298);
    m.x("a1") = kData + 2;
    m.execute({"lb a0, -2(a1)", "lbu a2, -2(a1)", "lh a3, 4(a1)", "lhu a4, 4(a1)", "lw a5, 2(a1)", "lwu a6, 2(a1)",
               "ld a7, -2(a1)"});
    EXPECT_EQ(m.x("a0"), 0xffffffffffffff98);
    EXPECT_EQ(m.x("a2"), 0x98u);
    EXPECT_EQ(m.x("a3"), 0xfffffffffffffedc);
    EXPECT_EQ(m.x("a4"), 0xfedcu);
    EXPECT_EQ(m.x("a5"), 0xfffffffffedcba98);
    EXPECT_EQ(m.x("a6"), 0xfedcba98u);
    EXPECT_EQ(m.x("a7"), 0xfedcba9876543298);
}

TEST(Stores, WriteTheirWidthOnly) {
    ProgramMachine m;
    for (const auto& [line, expected] : {std::pair{"sb a0, 2(a1)", 0x1111111111881111u},
                                         {"sh a0, 2(a1)", 0x1111111177881111u},
                                         {"sw a0, 2(a1)", 0x1111556677881111u},
                                         {"sd a0, 2(a1)", 0x3344556677881111u}}) {
        m.store<uint64_t>(kData, 0x1111111111111111);
        m.store<uint64_t>(kData + 8, 0x1111111111111111);
        m.x("a0") = 0x1122334455667788, m.x("a1") = kData;
        m.execute({line});
        EXPECT_EQ(m.load<uint64_t>(kData), expected) << line;
        EXPECT_EQ(m.load<uint64_t>(kData + 8),
                  std::string_view(line).starts_with("sd") ? 0x1111111111111122u : 0x1111111111111111u);
    }
}

TEST(MisalignedAccesses, WorkAnywhereAlsoAcrossPages) {
    ProgramMachine m;
    for (uint64_t offset = 0; offset < 16; offset++) {
        uint64_t at = kData + 0x1000 - offset;
        m.x("a0") = 0x8877665544332211, m.x("a1") = at;
        m.execute({"sd a0, 0(a1)", "ld a2, 0(a1)", "lw a3, 1(a1)", "lhu a4, 3(a1)", "sh a0, 7(a1)", "lh a5, 7(a1)"});
        EXPECT_EQ(m.x("a2"), 0x8877665544332211) << offset;
        EXPECT_EQ(m.x("a3"), 0x55443322u) << offset;
        EXPECT_EQ(m.x("a4"), 0x5544u) << offset;
        EXPECT_EQ(m.x("a5"), 0x2211u) << offset;
        EXPECT_EQ(m.load<uint64_t>(at), 0x1177665544332211) << offset;
    }
}

TEST(MisalignedAccesses, NameThePageThatFaults) {
    ProgramMachine m;
    uint64_t at = ProgramMachine::kRamEnd - 4;
    m.store<uint32_t>(at, 0x12345678);
    m.x("a0") = 77, m.x("a1") = at;
    EXPECT_EQ(m.run({"ld a0, 0(a1)"}), (Trap{cause::kLoadAccess, kCode, ProgramMachine::kRamEnd}));
    EXPECT_EQ(m.x("a0"), 77u);
    EXPECT_EQ(m.run({"sd a0, 0(a1)"}), (Trap{cause::kStoreAccess, kCode, ProgramMachine::kRamEnd}));
    EXPECT_EQ(m.load<uint32_t>(at), 0x12345678u) << "nothing is written when the second page faults";
    m.x("a1") = ProgramMachine::kRam - 4;
    EXPECT_EQ(m.run({"ld a0, 0(a1)"}), (Trap{cause::kLoadAccess, kCode, ProgramMachine::kRam - 4}));
}

TEST(Accesses, OutsideOfMemoryFaultWithTheirAddress) {
    ProgramMachine m;
    m.x("a1") = 0x40000000;
    EXPECT_EQ(m.run({"lb a0, 5(a1)"}), (Trap{cause::kLoadAccess, kCode, 0x40000005}));
    EXPECT_EQ(m.run({"sw a0, -4(a1)"}), (Trap{cause::kStoreAccess, kCode, 0x3ffffffc}));
    EXPECT_EQ(m.run({"fld fa0, 8(a1)"}), (Trap{cause::kLoadAccess, kCode, 0x40000008}));
    m.x("a1") = ~uint64_t{0};
    EXPECT_EQ(m.run({"ld a0, 0(a1)"}), (Trap{cause::kLoadAccess, kCode, ~uint64_t{0}}));
    EXPECT_EQ(m.run({"sd a0, 0(a1)"}), (Trap{cause::kStoreAccess, kCode, ~uint64_t{0}}));
    m.hart.pc = 0x40000000;
    EXPECT_EQ(m.run(), (Trap{cause::kFetchAccess, 0x40000000, 0x40000000}));
}

TEST(Accesses, ToReadOnlyMemoryReadButDoNotWrite) {
    ProgramMachine m;
    m.x("a1") = ProgramMachine::kRom;
    m.execute({"ld a0, 0(a1)"});
    EXPECT_EQ(m.run({"sb a0, 1(a1)"}), (Trap{cause::kStoreAccess, kCode, ProgramMachine::kRom + 1}));
    EXPECT_EQ(m.run({"amoadd.w a0, a2, (a1)"}), (Trap{cause::kStoreAccess, kCode, ProgramMachine::kRom}));
}

class Recorder final : public device::Device {
  public:
    std::string_view name() const override { return "recorder"; }
    uint64_t read(uint64_t offset, unsigned bytes) override { return 0xf1f2f3f4f5f6f700 + offset + bytes; }
    void write(uint64_t offset, unsigned bytes, uint64_t value) override { last = {offset, bytes, value}; }
    void reset() override {}
    struct Write {
        uint64_t offset, bytes, value;
    };
    Write last{};
};

TEST(Accesses, ToDevicesHaveTheirWidth) {
    ProgramMachine m;
    Recorder recorder;
    ASSERT_TRUE(m.bus.map(0x10000000, 0x100, recorder));
    m.x("a1") = 0x10000000;
    m.execute({"lw a0, 8(a1)", "lbu a2, 3(a1)", "ld a3, 16(a1)"});
    EXPECT_EQ(m.x("a0"), 0xfffffffff5f6f70c);
    EXPECT_EQ(m.x("a2"), 4u);
    EXPECT_EQ(m.x("a3"), 0xf1f2f3f4f5f6f718);
    m.x("a0") = 0x1122334455667788;
    m.execute({"sh a0, 6(a1)"});
    EXPECT_EQ(recorder.last.offset, 6u);
    EXPECT_EQ(recorder.last.bytes, 2u);
    EXPECT_EQ(recorder.last.value, 0x7788u);
    EXPECT_EQ(m.run({"lw a0, 2(a1)"}), (Trap{cause::kLoadAccess, kCode, 0x10000002})) << "misaligned";
    EXPECT_EQ(m.run({"amoswap.w a0, a0, (a1)"}), (Trap{cause::kStoreAccess, kCode, 0x10000000}));
    EXPECT_EQ(m.run({"lr.w a0, (a1)"}), (Trap{cause::kLoadAccess, kCode, 0x10000000}));
}

TEST(CacheBlocks, AreZeroedWhole) {
    ProgramMachine m;
    for (uint64_t i = 0; i < 192; i += 8) m.store<uint64_t>(kData + i, ~uint64_t{0});
    m.x("a1") = kData + 64 + 13;
    m.execute({"cbo.zero (a1)"});
    for (uint64_t i = 0; i < 192; i++) EXPECT_EQ(m.load<uint8_t>(kData + i), i >= 64 && i < 128 ? 0 : 0xff) << i;
    m.x("a1") = 0x40000007;
    EXPECT_EQ(m.run({"cbo.zero (a1)"}), (Trap{cause::kStoreAccess, kCode, 0x40000007}));
}

TEST(CacheBlocks, AreManagedWithoutChange) {
    ProgramMachine m;
    m.store<uint64_t>(kData, 0x1234);
    m.x("a1") = kData + 1;
    m.execute({"cbo.clean (a1)", "cbo.flush (a1)", "cbo.inval (a1)"});
    EXPECT_EQ(m.load<uint64_t>(kData), 0x1234u);
}

TEST(Fences, OnlyRetire) {
    ProgramMachine m;
    auto before = m.hart.x;
    uint64_t retired = m.hart.retired;
    m.execute({"fence iorw, iorw", "fence rw, w", "pause", "fence.i"});
    EXPECT_EQ(m.hart.x, before);
    EXPECT_EQ(m.hart.retired, retired + 4 + 1) << "and the handler's wfi";
}

}  // namespace
}  // namespace doppel::cpu::interpret
