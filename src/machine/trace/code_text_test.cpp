#include "machine/trace/code_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::machine::trace {
namespace {

using testing::ElementsAre;
using testing::Field;

auto line(uint64_t address, const std::string& text) {
    return testing::AllOf(Field(&CodeLine::address, address), Field(&CodeLine::text, text));
}

TEST(CodeText, ShowsGuestInstructionsOfBothLengths) {
    const std::vector<uint8_t> code{0x13, 0x05, 0x15, 0x00, 0x01, 0x00, 0x13};  // the last one is cut off
    EXPECT_THAT(guest_lines(code, 0x1000), ElementsAre(line(0x1000, "addi a0, a0, 1"), line(0x1004, "c.nop")));
    EXPECT_TRUE(guest_lines({}, 0).empty());
}

#if DOPPEL_TRANSLATE
TEST(CodeText, ShowsHostInstructionsAndWhatIsNone) {
    const std::vector<uint8_t> code{0x48, 0x01, 0xc8, 0x06,
                                    0xeb, 0xfe, 0x0f};  // add; none in 64-bit mode; jmp; cut off
    EXPECT_THAT(host_lines(code, 0x1000),
                ElementsAre(line(0x1000, "add rax, rcx"), line(0x1003, "byte 0x06"),
                            line(0x1004, "jmp 0x0000000000001004"), line(0x1006, "byte 0x0f")));
}
#endif

TEST(CodeText, SummarisesATranslation) {
    cpu::TracedTranslation made{{{0x1000, {0x01, 0x00, 0x01, 0x00}, ""}}, {}};
    made.host_code = {{{std::vector<uint8_t>(20), 0x7000}, {std::vector<uint8_t>(10), 0x9000}}};
    EXPECT_EQ(translation_text(made), "a block, 2 instructions, 4 bytes: 30 bytes of host code at 0x7000");
    made.blocks.push_back({0x1010, {0x01, 0x00}, ""});
    EXPECT_EQ(translation_text(made), "a loop of 2 blocks, 3 instructions, 6 bytes: 30 bytes of host code at 0x7000");
}

TEST(CodeText, SplitsLines) {
    EXPECT_THAT(split_lines("+0x0:\n  %1 = get\n\n  \nend"), ElementsAre("+0x0:", "%1 = get", "end"));
    EXPECT_TRUE(split_lines("").empty());
}

}  // namespace
}  // namespace doppel::machine::trace
