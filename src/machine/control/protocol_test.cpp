#include "machine/control/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace doppel::machine::control {
namespace {

using testing::HasSubstr;

std::string error(std::string_view line) {
    const auto request = parse_request(line);
    return request ? "accepted" : request.error().message();
}

std::string without_end(std::string line) {
    EXPECT_EQ(line.back(), '\n');
    line.pop_back();
    return line;
}

TEST(ControlProtocol, RequestsSurviveTheirWay) {
    const std::set disk_commands{Command::kAttachDisk, Command::kFindDisk, Command::kDetachDisk};
    for (const Command command :
         {Command::kStatus, Command::kPause, Command::kResume, Command::kPowerKey, Command::kBalloon, Command::kEngine,
          Command::kLimits, Command::kAttachDisk, Command::kFindDisk, Command::kDetachDisk, Command::kQuit}) {
        const Request request{command, command == Command::kBalloon ? uint64_t{123} << 32 : 0,
                              command == Command::kEngine ? "interpret" : "",
                              command == Command::kLimits ? Limits{150, uint64_t{1} << 40, 7} : Limits{},
                              disk_commands.contains(command) ? "/a disk,ro" : ""};
        const auto parsed = parse_request(without_end(encode(request)));
        ASSERT_TRUE(parsed) << parsed.error().message();
        EXPECT_EQ(*parsed, request);
    }
}

TEST(ControlProtocol, AnswersSurviveTheirWay) {
    const Status status{true, "translate", 4, 1 << 30, 4096, 8192, ~uint64_t{0}, 17, 18, {50, 1 << 20, 100}, 16};
    const auto parsed = parse_answer(without_end(encode(status)));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(*parsed, status);
}

TEST(ControlProtocol, AnErrorOfTheMachineIsTheAskersError) {
    const auto parsed = parse_answer(without_end(encode(Error{"pause", "the machine", "a debugger has it", ""})));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message(), "pause: the machine: a debugger has it");
}

TEST(ControlProtocol, RefusesWhatIsNoRequest) {
    for (const char* line : {"", "pause", "[]", "null", R"("status")", "{", R"({"version":1,"do":"status"} x)",
                             R"({"version":1,"do":["status"]})"})
        EXPECT_THAT(error(line), HasSubstr("no JSON object")) << line;
    EXPECT_THAT(error(R"({"do":"status"})"), HasSubstr("no version"));
    EXPECT_THAT(error(R"({"version":2,"do":"status"})"), HasSubstr("version is not 1"));
    EXPECT_THAT(error(R"({"version":-1,"do":"status"})"), HasSubstr("no version"));
    EXPECT_THAT(error(R"({"version":1})"), HasSubstr("what to do"));
    EXPECT_THAT(error(R"({"version":1,"do":"dance"})"), HasSubstr("cannot do"));
    EXPECT_THAT(error(R"({"version":1,"do":"engine"})"), HasSubstr("lacks an engine"));
    EXPECT_THAT(error(R"({"version":1,"do":"engine","engine":1})"), HasSubstr("lacks an engine"));
    EXPECT_THAT(error(R"({"version":1,"do":"pause","engine":"interpret"})"), HasSubstr("unknown member"));
    EXPECT_THAT(error(R"({"version":1,"do":"balloon"})"), HasSubstr("number of bytes"));
    EXPECT_THAT(error(R"({"version":1,"do":"balloon","bytes":-1})"), HasSubstr("number of bytes"));
    EXPECT_THAT(error(R"({"version":1,"do":"pause","bytes":1})"), HasSubstr("not asked for"));
    EXPECT_THAT(error(R"({"version":1,"do":"pause","at":1})"), HasSubstr("unknown member"));
    EXPECT_THAT(error(R"({"version":1,"do":"limits","cpu_quota":1,"io_bps":1})"), HasSubstr("lacks a limit"));
    EXPECT_THAT(error(R"({"version":1,"do":"limits","cpu_quota":4294967296,"io_bps":1,"io_iops":0})"),
                HasSubstr("lacks a limit"));
    EXPECT_THAT(error(R"({"version":1,"do":"attach_disk"})"), HasSubstr("lacks a disk"));
    EXPECT_THAT(error(R"({"version":1,"do":"status","io_bps":1})"), HasSubstr("unknown member"));
    EXPECT_THAT(error(std::string(kMaxLine + 1, ' ')), HasSubstr("no JSON object"));
}

TEST(ControlProtocol, RefusesAnswersThatMakeNoSense) {
    for (const char* line : {"", "{}", R"({"ok":true})", R"({"ok":true,"machine":{}})", R"({"ok":false})",
                             R"({"ok":true,"machine":{"paused":true,"memory":"much"}})"})
        EXPECT_FALSE(parse_answer(line)) << line;
}

}  // namespace
}  // namespace doppel::machine::control
