#include "agent/fields.h"

#include <gtest/gtest.h>

#include "agent/messages.h"

namespace doppel::agent {
namespace {

using namespace std::string_literals;

TEST(Fields, CarryARequestWithAllThatItHas) {
    ExecRequest request{.arguments = {"ls", "", "a\0b"s}, .environment = {"A=b"}, .directory = "/", .user = "me"};
    request.terminal = TerminalSize{80, 25};
    const auto back = decode<ExecRequest>(encode(request));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->arguments, request.arguments);
    EXPECT_EQ(back->environment, request.environment);
    EXPECT_EQ(back->directory, "/");
    EXPECT_EQ(back->terminal, request.terminal);
    EXPECT_EQ(decode<ExecRequest>(encode(ExecRequest{}))->terminal, std::nullopt);
}

TEST(Fields, CarryNegativeNumbersBytesAndMessagesInside) {
    EXPECT_EQ(decode<TimeRequest>(encode(TimeRequest{-5}))->now, -5);
    EXPECT_EQ(decode<IdentityRequest>(encode(IdentityRequest{.entropy = {1, 0, 255}}))->entropy, (Bytes{1, 0, 255}));
    Statistics statistics;
    statistics.disks = {{.mounted_on = "/", .size = 5}, {.mounted_on = "/home", .free = 6}};
    const auto back = decode<Statistics>(encode(statistics));
    ASSERT_TRUE(back && back->disks.size() == 2);
    EXPECT_EQ(back->disks[1].mounted_on, "/home");
    EXPECT_EQ(back->disks[1].free, 6u);
}

TEST(Fields, KeepDefaultsForWhatIsMissingAndIgnoreWhatIsUnknown) {
    FieldWriter writer;
    writer.field(77, "later"s);
    const auto request = decode<PutRequest>(writer.take());
    ASSERT_TRUE(request);
    EXPECT_EQ(request->mode, 0644u);
    EXPECT_EQ(request->mtime, std::nullopt);
}

TEST(Fields, RefuseWhatDoesNotFit) {
    const Bytes good = encode(TimeRequest{1});
    for (size_t cut = 1; cut < good.size(); cut++) EXPECT_FALSE(decode<TimeRequest>(std::span(good).first(cut))) << cut;
    FieldWriter wide;
    wide.field(2, uint64_t{1} << 40);  // PutRequest's mode
    EXPECT_FALSE(decode<PutRequest>(wide.take()));
    FieldWriter text;
    text.field(2, "0644"s);
    EXPECT_FALSE(decode<PutRequest>(text.take()));
    Bytes long_field = good;
    long_field[5] = 0xff;
    EXPECT_FALSE(decode<TimeRequest>(long_field));
}

}  // namespace
}  // namespace doppel::agent
