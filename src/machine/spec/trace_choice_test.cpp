#include "machine/spec/trace_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::machine {
namespace {

using testing::HasSubstr;
namespace kind = trace_kind;

std::string refusal(std::string_view text) {
    const auto choice = trace_from(text);
    return choice ? "accepted" : choice.error().message();
}

TEST(TraceChoice, IsReadWithKindsFileAndLimit) {
    EXPECT_EQ(*trace_from("insn"), (TraceChoice{.kinds = kind::kInstructions}));
    EXPECT_EQ(*trace_from("sbi,irq=a=b"), (TraceChoice{.kinds = kind::kInterrupts | kind::kFirmware, .path = "a=b"}));
    EXPECT_EQ(*trace_from("mem=a,b,limit=2G"), (TraceChoice{kind::kMemory, "a,b", uint64_t{2} << 30}));
    EXPECT_EQ(*trace_from("trap=-,limit=0"), (TraceChoice{.kinds = kind::kTraps, .limit = 0}));
}

TEST(TraceChoice, IsWrittenAsItIsRead) {
    for (const char* text :
         {"insn=-", "insn,mem,irq,trap,sbi,translate=x", "irq=a=b,c", "sbi=-,limit=0", "mem=x,limit=1536M"})
        EXPECT_EQ(text_of(*trace_from(text)), text);
    EXPECT_EQ(text_of(*trace_from("trap,insn,trap")), "insn,trap=-");
}

TEST(TraceChoice, RefusesWhatItDoesNotKnow) {
    EXPECT_THAT(refusal("all"),
                HasSubstr("--trace: all is no kind of trace; give insn, mem, irq, trap, sbi, translate"));
    EXPECT_THAT(refusal("insn;mem"), HasSubstr("insn;mem is no kind"));
    for (const char* text : {"", "insn,", ",insn", "=file"}) EXPECT_THAT(refusal(text), HasSubstr("a kind is missing"));
    for (const char* text : {"insn=", "insn=,limit=1G"}) EXPECT_THAT(refusal(text), HasSubstr("a path is missing"));
    for (const char* text : {"insn=a,limit=", "insn=a,limit=much", "insn=a,limit=1G,ro", "insn=a,limit=-1"})
        EXPECT_THAT(refusal(text), HasSubstr("it is not a size"));
    EXPECT_THAT(refusal("insn=a,limit=99999999T"), HasSubstr("it is too large"));
}

}  // namespace
}  // namespace doppel::machine
