#include "machine/agent/link.h"

#include <gtest/gtest.h>

#include <functional>

#include "machine/agent/testing.h"

namespace doppel::machine::agent {
namespace {

using doppel::agent::Outcome;
using doppel::agent::Status;

struct Owner final : ChannelOwner {
    void from_agent(const Frame& frame) override {
        if (frame.type == FrameType::kResult) {
            outcome = doppel::agent::decode<Outcome>(frame.payload);
        } else {
            got.append(frame.payload.begin(), frame.payload.end());
        }
    }
    std::string got;
    std::optional<Outcome> outcome;
};

struct Listener final : LinkListener {
    void agent_came() override { came++; }
    void link_has_room() override { rooms++; }
    int came = 0, rooms = 0;
};

class AgentLinkTest : public testing::Test {
  protected:
    AgentLinkTest() : loop(std::move(*EventLoop::create(clock))), link(*loop, pipe) { link.listen(listener); }
    uint32_t open() {
        const auto number = link.open(owner, 0, {});
        EXPECT_TRUE(number);
        pipe.next();
        return number.value_or(0);
    }
    bool send(FrameType type, uint32_t channel, std::span<const uint8_t> payload = {}, uint8_t stream = 0) {
        return link.send({type, stream, channel, payload});
    }

    ManualClock clock;
    std::unique_ptr<EventLoop> loop;
    FakePipe pipe;
    AgentLink link;
    Listener listener;
    Owner owner;
};

TEST_F(AgentLinkTest, GreetsTheAgentAsSoonAsItOpensThePort) {
    EXPECT_EQ(pipe.next(), "");
    EXPECT_FALSE(link.open(owner, 0, {}));
    pipe.open(true);
    EXPECT_EQ(pipe.next(), "hello");
    EXPECT_FALSE(link.ready());
    pipe.answer_hello(pipe.session);
    EXPECT_TRUE(link.ready());
    EXPECT_EQ(listener.came, 1);
    EXPECT_EQ(link.services(), 0xffu);
}

TEST_F(AgentLinkTest, SkipsWhatAnEarlierAgentLeftBehind) {
    pipe.open(true);
    pipe.next();
    pipe.say(std::vector<uint8_t>(100000, 'x'));
    pipe.answer_hello(pipe.session + 1);
    pipe.say_result(1);
    EXPECT_FALSE(link.ready());
    pipe.answer_hello(pipe.session);
    EXPECT_TRUE(link.ready());
}

TEST_F(AgentLinkTest, CarriesAChannelFromOpenToResult) {
    pipe.greet();
    const std::vector<uint8_t> request{'r'}, data{'d'};
    const auto number = link.open(owner, 3, request);
    ASSERT_TRUE(number);
    const std::string n = std::to_string(*number);
    EXPECT_EQ(pipe.next(), "2/3/" + n + ":r");
    EXPECT_TRUE(send(FrameType::kData, *number, data));
    EXPECT_TRUE(send(FrameType::kEnd, *number));
    EXPECT_EQ(pipe.next(), "3/0/" + n + ":d");
    EXPECT_EQ(pipe.next(), "4/0/" + n + ":");
    pipe.say_text(FrameType::kInfo, 0, *number, "info ");
    pipe.say_text(FrameType::kData, 1, *number, "out ");
    pipe.say_text(FrameType::kData, 2, *number, "err");
    pipe.say(FrameType::kEnd, 1, *number);
    EXPECT_EQ(owner.got, "info out err");
    pipe.say_result(*number, {.exit_code = 5});
    ASSERT_TRUE(owner.outcome);
    EXPECT_EQ(owner.outcome->exit_code, 5u);
    EXPECT_TRUE(send(FrameType::kData, *number, data)) << "it may not know of the end yet";
    EXPECT_EQ(pipe.next(), "");
}

TEST_F(AgentLinkTest, LetsNeitherSideSendMoreThanItsCredit) {
    pipe.greet();
    const uint32_t channel = open();
    const std::vector<uint8_t> half(doppel::agent::kInitialWindow / 4);
    for (int i = 0; i < 4; i++) EXPECT_TRUE(send(FrameType::kData, channel, half));
    EXPECT_FALSE(send(FrameType::kData, channel, half));
    pipe.say_credit(channel, 1);
    EXPECT_TRUE(send(FrameType::kData, channel, std::vector<uint8_t>(1)));
    EXPECT_FALSE(send(FrameType::kData, channel, std::vector<uint8_t>(1)));
    for (int i = 0; i < 4; i++) pipe.say(FrameType::kData, 1, channel, half);
    EXPECT_TRUE(link.ready());
    pipe.say(FrameType::kData, 1, channel, std::vector<uint8_t>(1));
    EXPECT_FALSE(link.ready());
    EXPECT_EQ(owner.outcome->status, Status::kLost);
}

TEST_F(AgentLinkTest, BreaksTheSessionOfAGuestThatBreaksTheProtocolAndBeginsAnewASecondLater) {
    const auto misdeeds = std::vector<std::function<void(uint32_t)>>{
        [&](uint32_t) { pipe.say(std::vector<uint8_t>(20, 'x')); },
        [&](uint32_t c) { pipe.say(FrameType::kData, 1, c + 1, std::vector<uint8_t>(1)); },
        [&](uint32_t c) { pipe.say(FrameType::kData, 0, c, std::vector<uint8_t>(1)); },
        [&](uint32_t c) { pipe.say(FrameType::kData, 1, c); },
        [&](uint32_t c) { pipe.say(FrameType::kOpen, 0, c); },
        [&](uint32_t c) { pipe.say_credit(c, doppel::agent::kMaxWindow); },
        [&](uint32_t c) { pipe.say(FrameType::kEnd, 1, c), pipe.say(FrameType::kEnd, 1, c); },
        [&](uint32_t c) { pipe.say(FrameType::kInfo, 0, c), pipe.say(FrameType::kInfo, 0, c); },
        [&](uint32_t c) { pipe.say_text(FrameType::kResult, 0, c, "nonsense"); }};
    pipe.greet();
    for (size_t i = 0; i < misdeeds.size(); i++) {
        ASSERT_TRUE(link.ready()) << i;
        owner.outcome.reset();
        misdeeds[i](open());
        EXPECT_FALSE(link.ready()) << i;
        ASSERT_TRUE(owner.outcome) << i;
        EXPECT_EQ(owner.outcome->status, Status::kLost);
        loop->run_ready();
        EXPECT_EQ(pipe.next(), "") << i;
        clock.advance(1'000'000'000);
        loop->run_ready();
        EXPECT_EQ(pipe.next(), "hello") << i;
        pipe.answer_hello(pipe.session);
    }
}

TEST_F(AgentLinkTest, EndsAllChannelsWhenTheAgentGoesAndOpensNewOnesWhenItComesBack) {
    pipe.greet();
    open();
    pipe.open(false);
    ASSERT_TRUE(owner.outcome);
    EXPECT_EQ(owner.outcome->status, Status::kLost);
    EXPECT_FALSE(link.open(owner, 0, {}));
    pipe.greet();
    EXPECT_TRUE(link.open(owner, 0, {}));
    EXPECT_EQ(listener.came, 2);
}

TEST_F(AgentLinkTest, ClosesWhatItsOwnerAbandonsAndDropsWhatStillComes) {
    pipe.greet();
    const uint32_t channel = open();
    link.abandon(channel);
    EXPECT_EQ(pipe.next(), "7/0/" + std::to_string(channel) + ":");
    pipe.say_text(FrameType::kData, 1, channel, "late");
    pipe.say_result(channel);
    EXPECT_TRUE(link.ready());
    EXPECT_EQ(owner.got, "");
    EXPECT_FALSE(owner.outcome);
}

TEST_F(AgentLinkTest, HasABoundedNumberOfChannels) {
    pipe.greet();
    for (uint32_t i = 0; i < doppel::agent::kMaxChannels; i++) ASSERT_TRUE(link.open(owner, 0, {}));
    EXPECT_FALSE(link.open(owner, 0, {}));
    pipe.say_result(1);
    EXPECT_TRUE(link.open(owner, 0, {}));
}

TEST_F(AgentLinkTest, KeepsWhatTheGuestDoesNotReadAndSaysWhenThereIsEnough) {
    pipe.greet();
    const std::vector<uint8_t> piece(30000);
    std::vector<uint32_t> channels;
    for (int i = 0; i < 10; i++) channels.push_back(open());
    pipe.has_room = false;
    for (uint32_t channel : channels) EXPECT_TRUE(send(FrameType::kData, channel, piece));
    EXPECT_TRUE(link.crowded());
    EXPECT_EQ(listener.rooms, 0);
    pipe.room();
    EXPECT_FALSE(link.crowded());
    EXPECT_EQ(listener.rooms, 1);
}

}  // namespace
}  // namespace doppel::machine::agent
