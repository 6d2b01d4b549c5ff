#include "isa/riscv/debug_registers.h"

#include <gmock/gmock.h>

#include <set>

#include "isa/riscv/csr.h"
#include "isa/riscv/test_hart.h"

namespace doppel::isa::riscv {
namespace {

using testing::HasSubstr;

class DebugRegistersTest : public testing::Test, public TestHart {
  protected:
    size_t number(std::string_view name) const {
        for (size_t n = 0; n < registers.count(); n++) {
            if (registers.name(n) == name) return n;
        }
        ADD_FAILURE() << "no register " << name;
        return 0;
    }
    std::optional<uint64_t> read(std::string_view name) { return registers.read(hart, time, number(name)); }
    bool write(std::string_view name, uint64_t value) { return registers.write(hart, number(name), value); }

    DebugRegisters registers;
};

TEST_F(DebugRegistersTest, AreDescribedOnceEachByNumber) {
    std::string text = registers.description();
    std::set<std::string_view> names;
    for (size_t n = 0; n < registers.count(); n++) {
        EXPECT_TRUE(names.insert(registers.name(n)).second) << registers.name(n) << " twice";
        std::string line =
            "<reg name=\"" + std::string(registers.name(n)) + "\" bitsize=\"64\" regnum=\"" + std::to_string(n) + "\"";
        EXPECT_THAT(text, HasSubstr(line));
    }
    for (const char* feature : {"cpu", "fpu", "csr", "virtual"}) {
        EXPECT_THAT(text, HasSubstr(std::string("<feature name=\"org.gnu.gdb.riscv.") + feature + "\">"));
    }
    EXPECT_EQ(registers.name(DebugRegisters::kPc), "pc");
}

TEST_F(DebugRegistersTest, HoldEveryControlRegisterThatMModeCanRead) {
    hart.csr.mstatus |= mstatus::kFs;
    for (uint32_t csr = 0; csr < 4096; csr++) {
        auto expected = csr_read(hart, time, csr);
        if (!expected) continue;
        EXPECT_EQ(read(csr_name(csr)), expected) << csr_name(csr);
    }
}

TEST_F(DebugRegistersTest, AreReadAndWrittenInAnyPrivilegeAndWithFloatingPointOff) {
    hart.privilege = Privilege::kUser;
    hart.csr.mstatus &= ~mstatus::kFs;
    EXPECT_TRUE(write("mscratch", 0x1234));
    EXPECT_EQ(read("mscratch"), 0x1234u);
    EXPECT_TRUE(write("fcsr", 0x65));
    EXPECT_EQ(read("fflags"), 5u);
    EXPECT_EQ(read("frm"), 3u);
    EXPECT_TRUE(write("fa0", 77));
    EXPECT_EQ(read("fa0"), 77u);
    EXPECT_EQ(hart.privilege, Privilege::kUser);
    EXPECT_FALSE(hart.float_enabled()) << "looking turns nothing on";
    EXPECT_TRUE(write("mstatus", mstatus::kFs));
    EXPECT_TRUE(hart.float_enabled());
}

TEST_F(DebugRegistersTest, KeepTheirRules) {
    EXPECT_FALSE(write("zero", 1));
    EXPECT_TRUE(write("zero", 0)) << "as when all are written";
    EXPECT_FALSE(write("mhartid", 1));
    EXPECT_FALSE(write("priv", 2));
    EXPECT_TRUE(write("priv", 1));
    EXPECT_EQ(hart.privilege, Privilege::kSupervisor);
    EXPECT_TRUE(write("pc", 0x8000'0001));
    EXPECT_EQ(hart.pc, 0x8000'0000u);
    hart.retired = 100;
    EXPECT_TRUE(write("minstret", 5));
    EXPECT_EQ(read("minstret"), 5u) << "a debugger's write is no instruction";
    EXPECT_EQ(hart.retired, 100u);
}

}  // namespace
}  // namespace doppel::isa::riscv
