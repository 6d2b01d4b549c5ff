#include "isa/riscv/debug_registers.h"

#include <gmock/gmock.h>

#include <set>

#include "base/byte_order.h"
#include "isa/riscv/csr.h"
#include "isa/riscv/test_hart.h"

namespace doppel::isa::riscv {
namespace {

using testing::HasSubstr;
using testing::Not;

class DebugRegistersTest : public testing::Test, public TestHart {
  protected:
    static size_t number(const DebugRegisters& registers, std::string_view name) {
        for (size_t n = 0; n < registers.count(); n++) {
            if (registers.name(n) == name) return n;
        }
        ADD_FAILURE() << "no register " << name;
        return 0;
    }
    std::optional<uint64_t> read(std::string_view name) {
        auto bytes = registers.read(hart, time, number(registers, name));
        if (!bytes) return std::nullopt;
        EXPECT_EQ(bytes->size(), sizeof(uint64_t));
        return load_le<uint64_t>(reinterpret_cast<const uint8_t*>(bytes->data()));
    }
    bool write(std::string_view name, uint64_t value) {
        std::string bytes(sizeof value, '\0');
        store_le(reinterpret_cast<uint8_t*>(bytes.data()), value);
        return registers.write(hart, number(registers, name), bytes);
    }

    static constexpr unsigned kVectorBits = 256;
    DebugRegisters registers{0};
    DebugRegisters with_vectors{kVectorBits};
};

TEST_F(DebugRegistersTest, AreDescribedOnceEachByNumber) {
    for (const DebugRegisters* all : {&registers, &with_vectors}) {
        std::string text = all->description();
        std::set<std::string_view> names;
        for (size_t n = 0; n < all->count(); n++) {
            EXPECT_TRUE(names.insert(all->name(n)).second) << all->name(n) << " twice";
            std::string line = "<reg name=\"" + std::string(all->name(n)) + "\" bitsize=\"" +
                               std::to_string(8 * all->bytes(n)) + "\" regnum=\"" + std::to_string(n) + "\"";
            EXPECT_THAT(text, HasSubstr(line));
        }
        for (const char* feature : {"cpu", "fpu", "csr", "virtual"}) {
            EXPECT_THAT(text, HasSubstr(std::string("<feature name=\"org.gnu.gdb.riscv.") + feature + "\">"));
        }
        EXPECT_EQ(all->name(DebugRegisters::kPc), "pc");
    }
}

TEST_F(DebugRegistersTest, AreThoseOfVectorsOnlyWhereThereAreAny) {
    EXPECT_THAT(registers.description(), Not(HasSubstr("vector")));
    EXPECT_THAT(registers.description(), Not(HasSubstr("vstart")));
    std::string text = with_vectors.description();
    EXPECT_THAT(text, HasSubstr("<feature name=\"org.gnu.gdb.riscv.vector\">"));
    EXPECT_THAT(text, HasSubstr("<vector id=\"longs\" type=\"uint64\" count=\"4\"/>"));
    EXPECT_THAT(text, HasSubstr("<field name=\"l\" type=\"longs\"/>"));
    for (const char* name : {"v0", "v31"}) {
        EXPECT_EQ(with_vectors.bytes(number(with_vectors, name)), kVectorBits / 8) << name;
    }
    for (const char* name : {"vstart", "vxsat", "vxrm", "vcsr", "vl", "vtype", "vlenb"}) {
        EXPECT_EQ(with_vectors.bytes(number(with_vectors, name)), 8u) << name;
    }
}

TEST_F(DebugRegistersTest, HoldVectorsWhetherTheUnitIsOnOrOff) {
    hart.vector.reset(kVectorBits);
    hart.privilege = Privilege::kUser;
    ASSERT_EQ(hart.csr.mstatus & mstatus::kVs, 0u);
    size_t v3 = number(with_vectors, "v3");
    std::string value;
    for (unsigned i = 0; i < kVectorBits / 8; i++) value += static_cast<char>(i + 1);
    EXPECT_TRUE(with_vectors.write(hart, v3, value));
    EXPECT_EQ(with_vectors.read(hart, time, v3), value);
    EXPECT_EQ(hart.vector.registers[3 * kVectorBits / 8], 1);
    EXPECT_EQ(hart.vector.registers[4 * kVectorBits / 8], 0);
    EXPECT_FALSE(with_vectors.write(hart, v3, value.substr(1))) << "not all of it";

    const std::string seven("\7\0\0\0\0\0\0\0", 8), length("\x20\0\0\0\0\0\0\0", 8);
    EXPECT_TRUE(with_vectors.write(hart, number(with_vectors, "vstart"), seven));
    EXPECT_EQ(hart.vector.vstart, 7u);
    EXPECT_EQ(with_vectors.read(hart, time, number(with_vectors, "vlenb")), length);
    EXPECT_FALSE(with_vectors.write(hart, number(with_vectors, "vl"), seven)) << "by vsetvl alone";
    EXPECT_EQ(hart.csr.mstatus & mstatus::kVs, 0u) << "looking turns nothing on";
}

TEST_F(DebugRegistersTest, HaveNoVectorsOnAHartWithoutThem) {
    EXPECT_EQ(with_vectors.read(hart, time, number(with_vectors, "v0")), std::nullopt);
    EXPECT_EQ(with_vectors.read(hart, time, number(with_vectors, "vl")), std::nullopt);
    EXPECT_FALSE(with_vectors.write(hart, number(with_vectors, "v0"), std::string(kVectorBits / 8, '\1')));
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
