#include "machine/gdb/session.h"

#include <gmock/gmock.h>

#include <sstream>

#include "machine/gdb/fake_target.h"

namespace doppel::machine::gdb {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using enum Motion;
using fake::Machine;

class SessionTest : public testing::Test {
  protected:
    // The reply, or "(none)".
    std::string ask(std::string_view packet) {
        sent.clear();
        session.handle(packet);
        return reply();
    }
    std::string reply() const { return sent.empty() ? "(none)" : sent.size() == 1 ? sent[0] : "(several)"; }
    std::string monitor(std::string_view command) {
        return from_hex(ask("qRcmd," + to_hex(command))).value_or("(no hex)");
    }
    // The target stops by itself.
    std::string stop(Stop what) {
        sent.clear();
        target.stops.push_back(what);
        session.target_stopped();
        return reply();
    }

    Machine target;
    std::vector<std::string> sent;
    Session session{target, [this](std::string_view payload) { sent.emplace_back(payload); }};
};

TEST_F(SessionTest, SaysWhatItCan) {
    std::string features = ask("qSupported:multiprocess+;swbreak+;hwbreak+");
    EXPECT_THAT(features, StartsWith("PacketSize=4000;"));
    EXPECT_THAT(features, HasSubstr("qXfer:features:read+"));
    EXPECT_THAT(features, HasSubstr("QNonStop-"));
    EXPECT_EQ(ask("vCont?"), "vCont;c;C;s;S");
    EXPECT_EQ(ask("qAttached"), "1");
    EXPECT_TRUE(session.acknowledges());
    EXPECT_EQ(ask("QStartNoAckMode"), "OK");
    EXPECT_FALSE(session.acknowledges());
}

TEST_F(SessionTest, AnswersNothingToWhatItDoesNotKnow) {
    for (const char* packet : {"", "vMustReplyEmpty", "QNonStop:1", "vAttach;1", "vRun;", "!", "R00", "i", "qUnknown",
                               "Z5,0,0", "Z9,1,1", "qXfer:memory-map:read::0,100", "vCont"}) {
        EXPECT_EQ(ask(packet), "") << packet;
    }
}

TEST_F(SessionTest, RefusesPacketsThatAreWrong) {
    for (const char* packet : {"p",
                               "p8",
                               "pffffffffffffffff",
                               "P1",
                               "P1=",
                               "P1=zz",
                               "P1=00",
                               "G00",
                               "m",
                               "m0",
                               "m0,",
                               "m0,4,4",
                               "M0,1",
                               "M0,2:00",
                               "X0,2:a",
                               "Z0,",
                               "Z0,1",
                               "Z0,1,",
                               "Z2,1,0",
                               "Z2,ffffffffffffffff,2",
                               "vCont;",
                               "vCont;x",
                               "vCont;C",
                               "vCont;c:x",
                               "vCont;s:1:2",
                               "vCont;t",
                               "c12x",
                               "C",
                               "Cx",
                               "qRcmd,x",
                               "qXfer:features:read:target.xml:0",
                               "qXfer:features:read:target.xml:ffffff,1"}) {
        EXPECT_THAT(ask(packet), StartsWith("E")) << packet;
    }
    EXPECT_EQ(ask("qXfer:features:read:other.xml:0,10"), "E00");
    EXPECT_TRUE(target.resumes.empty());
}

TEST_F(SessionTest, SendsTheDescriptionInParts) {
    std::string whole;
    for (std::string part = "m"; part[0] == 'm';) {
        part = ask("qXfer:features:read:target.xml:" + [&] {
            std::ostringstream text;
            text << std::hex << whole.size() << ",3ffb";
            return text.str();
        }());
        ASSERT_THAT(part, testing::AnyOf(StartsWith("m"), StartsWith("l")));
        whole += part.substr(1);
    }
    EXPECT_EQ(whole, target.layout.description);
}

TEST_F(SessionTest, ReadsAndWritesRegistersOfTheChosenThread) {
    target.values[1][0] = 0x1122;
    EXPECT_EQ(ask("Hg2"), "OK");
    EXPECT_THAT(ask("g"), StartsWith("2211000000000000"));
    EXPECT_EQ(ask("g").size(), 5u * 16);
    EXPECT_EQ(ask("p0"), "2211000000000000");
    EXPECT_EQ(ask("p5"), "00000000") << "its own size";
    EXPECT_EQ(ask("p6"), "xxxxxxxxxxxxxxxx");
    EXPECT_EQ(ask("P3=0807060504030201"), "OK");
    EXPECT_EQ(target.values[1][3], 0x0102030405060708u);
    EXPECT_THAT(ask("P7=0000000000000000"), StartsWith("E"));
    EXPECT_EQ(ask("G" + std::string(80, '1')), "OK");
    EXPECT_EQ(target.values[1][4], 0x1111111111111111u);
    EXPECT_EQ(target.values[0][4], 0u);
    EXPECT_EQ(ask("Hg4"), "E03");
    EXPECT_EQ(ask("Hg-1"), "OK");
    EXPECT_EQ(ask("Hx1"), "");
}

TEST_F(SessionTest, ReadsAndWritesMemory) {
    EXPECT_EQ(ask("M1004,3:010203"), "OK");
    EXPECT_EQ(ask("m1003,5"), "0001020300");
    EXPECT_EQ(ask("X1004,2:#$"), "OK");
    EXPECT_EQ(ask("m1004,3"), "232403");
    EXPECT_EQ(ask("X1004,0:"), "OK") << "GDB asks whether X is known";
    EXPECT_EQ(ask("m10ffe,10"), "0000") << "as much as there is";
    EXPECT_EQ(ask("m0,4"), "E0e");
    EXPECT_EQ(ask("M0,1:00"), "E0e");
    EXPECT_EQ(ask("M10fff,2:0000"), "E0e") << "all or nothing";
    EXPECT_EQ(ask("m1000,ffffffffffffffff").size(), kMaxPacket);
}

TEST_F(SessionTest, ListsThreads) {
    EXPECT_EQ(ask("qfThreadInfo"), "m1,2,3");
    EXPECT_EQ(ask("qsThreadInfo"), "l");
    EXPECT_EQ(from_hex(ask("qThreadExtraInfo,3")), "thread number 2");
    EXPECT_EQ(ask("qThreadExtraInfo,4"), "E03");
    EXPECT_EQ(ask("T3"), "OK");
    EXPECT_EQ(ask("T4"), "E03");
    EXPECT_EQ(ask("T0"), "E03");
    EXPECT_EQ(ask("qC"), "QC1");
}

TEST_F(SessionTest, ResumesEachThreadAsTheFirstActionThatNamesItSays) {
    EXPECT_EQ(ask("vCont;s:2;c"), "(none)");
    EXPECT_THAT(target.resumes.back(), ElementsAre(kRun, kStep, kRun));
    EXPECT_EQ(stop({1, Stop::Reason::kStep}), "T05thread:2;1:0000000000000000;4:0000000000000000;");
    EXPECT_EQ(ask("vCont;C05:1"), "(none)");
    EXPECT_THAT(target.resumes.back(), ElementsAre(kRun, kStay, kStay));
    stop({0, Stop::Reason::kStep});
    EXPECT_EQ(ask("vCont;s:-1"), "(none)");
    EXPECT_THAT(target.resumes.back(), ElementsAre(kStep, kStep, kStep));
    stop({0, Stop::Reason::kStep});
    EXPECT_EQ(ask("vCont;c:9"), "E03");
    EXPECT_FALSE(target.running());
}

TEST_F(SessionTest, KnowsTheOldWaysToResume) {
    EXPECT_EQ(ask("Hc3"), "OK");
    EXPECT_EQ(ask("s"), "(none)");
    EXPECT_THAT(target.resumes.back(), ElementsAre(kStay, kStay, kStep));
    stop({2, Stop::Reason::kStep});
    EXPECT_EQ(ask("Hc-1"), "OK");
    EXPECT_EQ(ask("c1234"), "(none)");
    EXPECT_THAT(target.resumes.back(), ElementsAre(kRun, kRun, kRun));
    EXPECT_EQ(target.values[2][Machine::kPc], 0x1234u);
    stop({0, Stop::Reason::kStep});
    EXPECT_EQ(ask("S05;40"), "(none)");
    EXPECT_EQ(target.values[0][Machine::kPc], 0x40u);
}

TEST_F(SessionTest, TakesNothingButAnInterruptWhileTheTargetRuns) {
    ask("c");
    for (const char* packet : {"g", "p1", "m1000,4", "Z0,10,4", "c", "vCont;c", "?"})
        EXPECT_EQ(ask(packet), "E10") << packet;
    sent.clear();
    session.interrupt();
    EXPECT_THAT(reply(), StartsWith("T02thread:1;"));
    EXPECT_FALSE(target.running());
    sent.clear();
    session.interrupt();
    EXPECT_EQ(reply(), "(none)") << "it is halted already";
    EXPECT_THAT(ask("?"), StartsWith("T02thread:1;"));
}

TEST_F(SessionTest, HaltsARunningTargetOnlyWhenItIsAskedWhyItHalted) {
    target.is_running = true;
    ask("qSupported");
    EXPECT_EQ(ask("Hg0"), "OK");
    EXPECT_EQ(ask("g"), "E10");
    EXPECT_EQ(target.halts, 0);
    EXPECT_THAT(ask("?"), StartsWith("T05thread:1;"));
    EXPECT_FALSE(target.running());
}

TEST_F(SessionTest, SetsPointsWhenItResumesAndOnlyIfTheyChanged) {
    EXPECT_EQ(ask("Z0,80,4"), "OK");
    EXPECT_EQ(ask("Z0,80,4"), "OK");
    EXPECT_EQ(ask("Z1,90,2"), "OK");
    EXPECT_EQ(ask("Z2,1000,8"), "OK");
    EXPECT_TRUE(target.points.empty());
    ask("c");
    EXPECT_THAT(target.points, ElementsAre(Point{PointKind::kSoftware, 0x80, 0}, Point{PointKind::kHardware, 0x90, 0},
                                           Point{PointKind::kWrite, 0x1000, 8}));
    stop({0, Stop::Reason::kBreakpoint, 0x80});
    EXPECT_EQ(ask("z0,80,4"), "OK");
    EXPECT_EQ(ask("z0,80,4"), "OK");
    EXPECT_EQ(ask("z1,90,4"), "OK");
    EXPECT_EQ(ask("z2,1000,8"), "OK");
    ask("s");
    EXPECT_TRUE(target.points.empty());
}

TEST_F(SessionTest, BoundsTheNumberOfPoints) {
    std::string last = "OK";
    unsigned taken = 0;
    for (; last == "OK" && taken < 100000; taken++) {
        std::ostringstream packet;
        packet << "Z0," << std::hex << taken << ",4";
        last = ask(packet.str());
    }
    EXPECT_EQ(last, "E1c");
}

TEST_F(SessionTest, SaysWhichKindOfPointItStoppedAt) {
    ask("qSupported:swbreak+;hwbreak+");
    ask("Z0,80,4");
    ask("Z1,90,4");
    ask("Z3,1000,8");
    ask("c");
    EXPECT_THAT(stop({1, Stop::Reason::kBreakpoint, 0x80}), StartsWith("T05thread:2;swbreak:;"));
    ask("c");
    EXPECT_THAT(stop({1, Stop::Reason::kBreakpoint, 0x90}), StartsWith("T05thread:2;hwbreak:;"));
    ask("c");
    EXPECT_THAT(stop({0, Stop::Reason::kWatchpoint, 0x1004, PointKind::kRead}), StartsWith("T05thread:1;rwatch:1004;"));
    ask("c");
    EXPECT_THAT(stop({0, Stop::Reason::kWatchpoint, 0x1004, PointKind::kWrite}), StartsWith("T05thread:1;watch:1004;"));
    ask("c");
    EXPECT_THAT(stop({0, Stop::Reason::kWatchpoint, 4, PointKind::kAccess}), StartsWith("T05thread:1;awatch:4;"));
}

TEST_F(SessionTest, TellsTheWatchpointThatAnotherThreadHitAtTheSameTimeNext) {
    ask("Z2,1000,8");
    ask("c");
    target.stops = {{0, Stop::Reason::kStep}, {1, Stop::Reason::kBreakpoint, 0x80}};
    EXPECT_THAT(stop({2, Stop::Reason::kWatchpoint, 0x1000, PointKind::kWrite}), StartsWith("T05thread:1;"));
    EXPECT_THAT(ask("c"), StartsWith("T05thread:3;watch:1000;"));
    EXPECT_EQ(target.resumes.size(), 1u);
    ask("c");
    EXPECT_EQ(target.resumes.size(), 2u);

    target.stops = {{0, Stop::Reason::kStep}};
    stop({2, Stop::Reason::kWatchpoint, 0x1000, PointKind::kWrite});
    ask("z2,1000,8");
    EXPECT_EQ(ask("c"), "(none)") << "nobody asks for it any more";
}

TEST_F(SessionTest, GoesOnWhenAStopHasGone) {
    ask("vCont;s:1");
    sent.clear();
    session.target_stopped();
    EXPECT_EQ(reply(), "(none)");
    EXPECT_TRUE(target.running());
    EXPECT_THAT(target.resumes.back(), ElementsAre(kStep, kStay, kStay));
}

TEST_F(SessionTest, DetachesAndLeavesTheTargetRunningWithoutPoints) {
    ask("Z0,80,4");
    ask("c");
    stop({0, Stop::Reason::kBreakpoint, 0x80});
    EXPECT_EQ(ask("D"), "OK");
    EXPECT_TRUE(target.running());
    EXPECT_TRUE(target.points.empty());
    EXPECT_THAT(target.resumes.back(), ElementsAre(kRun, kRun, kRun));
    session.leave();
    EXPECT_TRUE(target.running());
}

TEST_F(SessionTest, LeavesAHaltedTargetHaltedAndARunningOneRunning) {
    session.leave();
    EXPECT_FALSE(target.running());
    ask("Z0,80,4");
    ask("vCont;s:1");
    session.leave();
    EXPECT_TRUE(target.running());
    EXPECT_TRUE(target.points.empty());
    EXPECT_THAT(target.resumes.back(), ElementsAre(kRun, kRun, kRun)) << "a step would end with nobody to ask";
}

TEST_F(SessionTest, KillsAndTellsTheEnd) {
    EXPECT_EQ(ask("vKill;1"), "OK");
    EXPECT_TRUE(target.killed);
    EXPECT_EQ(ask("k"), "(none)");
    sent.clear();
    session.target_ended(3);
    EXPECT_EQ(reply(), "(none)") << "nobody waits";
    ask("c");
    session.target_ended(3);
    EXPECT_EQ(reply(), "W03");
}

TEST_F(SessionTest, TakesMonitorCommands) {
    EXPECT_THAT(monitor("help"), HasSubstr("phys on|off"));
    EXPECT_THAT(monitor(" help "), HasSubstr("poke"));
    EXPECT_EQ(monitor("poke"), "ouch\n");
    EXPECT_THAT(monitor("dance"), HasSubstr("no such command"));
    EXPECT_THAT(monitor("phys"), HasSubstr("virtual"));
    target.memory[0] = 'A';
    EXPECT_EQ(ask("m1000,1"), "41");
    EXPECT_THAT(monitor("phys on"), HasSubstr("physical"));
    EXPECT_EQ(ask("m1000,1"), "E0e");
    EXPECT_EQ(ask("m101000,1"), "41");
    monitor("phys off");
    EXPECT_EQ(ask("m1000,1"), "41");
    EXPECT_EQ(monitor("phys maybe"), "monitor phys on|off\n");
}

}  // namespace
}  // namespace doppel::machine::gdb
