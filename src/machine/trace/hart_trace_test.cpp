#include "machine/trace/hart_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "base/temporary_folder.h"
#include "machine/trace/traces.h"

namespace doppel::machine::trace {
namespace {

using cpu::TracedAccess;
using isa::riscv::Privilege;
using testing::HasSubstr;
using testing::Not;
namespace cause = isa::riscv::cause;

boot::SymbolTable symbols_of(const std::vector<std::tuple<std::string, uint64_t, uint64_t>>& symbols) {
    std::string names(1, 0);
    std::vector<boot::SymbolTable::Entry> entries;
    for (const auto& [name, address, size] : symbols) {
        entries.push_back({address, size, static_cast<uint32_t>(names.size()), true});
        names += name + '\0';
    }
    return {std::move(entries), std::move(names)};
}

class HartTraceTest : public ::testing::Test {
  protected:
    void open(const std::vector<std::string>& choices, unsigned harts = 1) {
        std::vector<TraceChoice> wanted;
        for (const std::string& choice : choices) wanted.push_back(trace_from(choice).value());
        auto opened = Traces::open(wanted, harts);
        ASSERT_TRUE(opened) << opened.error().message();
        traces_ = std::move(*opened);
    }
    std::string path(const std::string& name = "trace") const { return folder_ / name; }
    std::string written(const std::string& name = "trace") {
        traces_->of(0).flush();
        std::ostringstream text;
        text << std::ifstream(folder_ / name).rdbuf();
        return text.str();
    }
    isa::riscv::Hart& at(uint64_t pc, uint64_t retired, Privilege privilege = Privilege::kSupervisor) {
        hart_.pc = pc;
        hart_.retired = retired;
        hart_.privilege = privilege;
        return hart_;
    }

    TemporaryFolder folder_;
    std::unique_ptr<Traces> traces_;
    isa::riscv::Hart hart_;
};

TEST_F(HartTraceTest, WritesALineForEachKind) {
    open({"insn,mem,irq,trap,sbi=" + path()});
    Symbols symbols;
    symbols.add(symbols_of({{"start", 0x1000, 0x100}, {"handler", 0x2000, 0}}), {0x8000'0000});
    ASSERT_TRUE(traces_->begin(std::move(symbols)));
    HartTrace& trace = traces_->of(0);
    trace.instruction(at(0x8000'1000, 7), 0x0015'0513);
    trace.access(hart_, {TracedAccess::Kind::kStore, 4, 0xffff'0000, 0x9000'0000, 0x2a, 0x2a, 0x8000'1004, 8});
    trace.access(hart_, {TracedAccess::Kind::kAtomic, 8, 0x9000'0000, 0x9000'0000, 1, 2, 0x8000'1008, 9});
    trace.trap(at(0x8000'2000, 0), {cause::kLoadPage, 0x8000'10ff, 0x55, Privilege::kUser, 10});
    trace.trap(at(0x8000'2000, 0), {cause::kInterrupt | 5, 0x8000'3000'0000, 0, Privilege::kSupervisor, 11});
    FirmwareCall call{0x10, 3, {0x54494d45}, 0x8000'1100, 12};
    hart_.x[10] = 0, hart_.x[11] = 1;
    trace.firmware_call(hart_, call, true);
    EXPECT_EQ(written(),
              "0 7 0x80001000 start insn addi a0, a0, 1\n"
              "0 8 0x80001004 start+0x4 mem store 4 at 0xffff0000 (physical 0x90000000) = 0x2a\n"
              "0 9 0x80001008 start+0x8 mem atomic 8 at 0x90000000 = 0x1 -> 0x2\n"
              "0 10 0x800010ff start+0xff trap 13 load page fault: tval 0x55, U to S 0x80002000 handler\n"
              "0 11 0x800030000000 - irq 5 supervisor timer interrupt: S to S 0x80002000 handler\n"
              "0 12 0x80001100 - sbi BASE.probe_extension(0x54494d45) = 0, 0x1\n");
}

TEST_F(HartTraceTest, TellsOfATranslationLineByLine) {
    open({"translate=" + path()});
    Symbols symbols;
    symbols.add(symbols_of({{"start", 0x1000, 0x100}}), {0x8000'0000});
    ASSERT_TRUE(traces_->begin(std::move(symbols)));
    // Host code that is no instruction anywhere.
    traces_->of(0).translation(
        at(0x8000'1000, 7),
        {{{0x8000'1000, {0x13, 0x05, 0x15, 0x00}, "  %1 = get\n  %2 = add\n"}, {0x8000'1010, {0x01, 0x00}, "  jump\n"}},
         false,
         {{{{0x06}, 0x7000}, {{0x07}, 0x9000}}}});
    EXPECT_EQ(
        written(),
        "0 7 0x80001000 start translate made a loop of 2 blocks, 2 instructions, 6 bytes: 2 bytes of host code at "
        "0x7000\n"
        "0 7 0x80001000 start translate guest addi a0, a0, 1\n"
        "0 7 0x80001000 start translate ir %1 = get\n"
        "0 7 0x80001000 start translate ir %2 = add\n"
        "0 7 0x80001010 start+0x10 translate guest c.nop\n"
        "0 7 0x80001010 start+0x10 translate ir jump\n"
        "0 7 0x80001000 start translate host 0x7000 byte 0x06\n"
        "0 7 0x80001000 start translate host 0x9000 byte 0x07\n");
}

TEST_F(HartTraceTest, TellsOfCallsToTheGuestsOwnFirmware) {
    open({"sbi=" + path()});
    hart_.x[17] = 0x53525354;
    traces_->of(0).trap(at(0x8000'0400, 0, Privilege::kMachine),
                        {cause::kEcallSupervisor, 0x8020'0000, 0, Privilege::kSupervisor, 3});
    traces_->of(0).trap(at(0x8000'0400, 0, Privilege::kMachine),
                        {cause::kLoadAccess, 0x8020'0000, 0, Privilege::kSupervisor, 4});
    EXPECT_EQ(written(), "0 3 0x80200000 - sbi SRST.system_reset(0x0, 0x0), to the guest's firmware\n");
}

TEST_F(HartTraceTest, NamesWhatItDoesNotKnowByNumber) {
    EXPECT_EQ(cause_name(24), "cause 24");
    EXPECT_EQ(cause_name(cause::kInterrupt | 60), "interrupt 60");
    EXPECT_EQ(call_text({0x1234, 5, {1, 2, 3, 4, 5, 6}, 0, 0}),
              "extension 0x1234 function 5(0x1, 0x2, 0x3, 0x4, 0x5, 0x6)");
    EXPECT_EQ(call_text({0x54494d45, 9, {}, 0, 0}), "TIME function 9(0x0, 0x0, 0x0, 0x0, 0x0, 0x0)");
    EXPECT_EQ(call_text({1, 0, {'x'}, 0, 0}), "legacy console putchar(0x78, 0x0, 0x0, 0x0)");
}

TEST_F(HartTraceTest, GivesEachFileItsKindsAndSharesOneByPath) {
    open({"insn=" + path("one"), "mem=" + path("two"), "mem=" + path("one")}, 2);
    traces_->of(0).instruction(at(0x1000, 1), 0x13);
    traces_->of(0).access(hart_, {TracedAccess::Kind::kLoad, 1, 2, 2, 3, 3, 0x1000, 1});
    traces_->of(1).instruction(at(0x1000, 1), 0x13);
    traces_->of(1).flush();
    EXPECT_EQ(written("two"), "0 1 0x1000 - mem load 1 at 0x2 = 0x3\n");
    EXPECT_EQ(written("one"),
              "1 1 0x1000 - insn addi zero, zero, 0\n0 1 0x1000 - insn addi zero, zero, 0\n0 1 0x1000 - mem load 1 at "
              "0x2 = 0x3\n");
}

TEST_F(HartTraceTest, KeepsNoMoreThanABufferAndLosesNoLine) {
    open({"insn=" + path()});
    constexpr int kLines = 20000;
    for (int i = 0; i < kLines; i++) traces_->of(0).instruction(at(0x1000, static_cast<uint64_t>(i)), 0x13);
    struct stat status {};
    ASSERT_EQ(stat(path().c_str(), &status), 0);
    EXPECT_GT(status.st_size, 0) << "nothing was written although the buffer is full";
    const std::string text = written();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), kLines);
    EXPECT_LT(text.size() - static_cast<size_t>(status.st_size), HartTrace::kBuffer + 100);
}

TEST_F(HartTraceTest, WantsNoMoreOfWhatOnlyAFullFileTook) {
    open({"insn,trap=" + path("small") + ",limit=1K", "trap=" + path("large")});
    HartTrace& trace = traces_->of(0);
    EXPECT_TRUE(trace.wants(trace_kind::kInstructions));
    for (uint64_t i = 0; i < 100; i++) trace.instruction(at(0x1000, i), 0x13);
    trace.flush();
    EXPECT_FALSE(trace.wants(trace_kind::kInstructions));
    EXPECT_TRUE(trace.wants(trace_kind::kTraps));
    trace.trap(at(0x2000, 0), {cause::kBreakpoint, 0x1000, 0, Privilege::kSupervisor, 100});
    EXPECT_EQ(written("large"), "0 100 0x1000 - trap 3 breakpoint: tval 0x0, S to S 0x2000\n");
    EXPECT_THAT(written("small"), Not(HasSubstr("trap")));
}

TEST_F(HartTraceTest, LeavesFilesAloneUntilTheMachineStarts) {
    std::ofstream(path()) << "what an earlier machine did\n";
    open({"insn=" + path()});
    EXPECT_EQ(written(), "what an earlier machine did\n");
    ASSERT_TRUE(traces_->begin({}));
    EXPECT_EQ(written(), "");
    traces_->of(0).instruction(at(0x1000, 1), 0x13);
    traces_->of(0).flush();
    ASSERT_TRUE(traces_->begin({})) << "a reboot";
    EXPECT_EQ(written(), "0 1 0x1000 - insn addi zero, zero, 0\n");
}

TEST(Symbols, NameCodeBeforeAndAfterTranslationIsOn) {
    constexpr uint64_t kVirtual = 0xffff'ffff'8000'0000;
    Symbols symbols;
    symbols.add(symbols_of({{"_start", kVirtual, 0}, {"start_kernel", kVirtual + 0x1000, 0x80}}),
                {0, 0x8020'0000 - kVirtual});
    EXPECT_EQ(symbols.name(kVirtual + 0x1010), "start_kernel+0x10");
    EXPECT_EQ(symbols.name(0x8020'1010), "start_kernel+0x10");
    EXPECT_EQ(symbols.name(0x8020'0000), "_start");
    EXPECT_EQ(symbols.name(0x1000), "");
    EXPECT_EQ(symbols.name(kVirtual + 0x100'0000), "") << "far behind a label without a size";
}

TEST(Symbols, CutNamesThatAHostileFileMakesLongOrUnprintable) {
    Symbols symbols;
    symbols.add(symbols_of({{std::string(100'000, 'x'), 0x1000, 0x100}, {"a\nb", 0x2000, 0x100}}), {0});
    EXPECT_EQ(symbols.name(0x1001), std::string(1024, 'x') + "+0x1");
    EXPECT_EQ(symbols.name(0x2000), "a?b");
}

}  // namespace
}  // namespace doppel::machine::trace
