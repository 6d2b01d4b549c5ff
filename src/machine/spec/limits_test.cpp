#include "machine/spec/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::machine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string pin_error(std::string_view text) {
    const auto pin = pin_from(text);
    return pin ? "accepted" : pin.error().message();
}

TEST(Limits, APinIsAListOfProcessors) {
    const auto pin = pin_from("5,0-2,1");
    ASSERT_TRUE(pin) << pin.error().message();
    EXPECT_EQ(pin->cpu, -1);
    EXPECT_THAT(pin->processors, ElementsAre(0, 1, 2, 5));
    EXPECT_EQ(text_of(*pin), "0-2,5");
}

TEST(Limits, APinMayBeOneCpus) {
    const auto pin = pin_from("3:7");
    ASSERT_TRUE(pin) << pin.error().message();
    EXPECT_EQ(*pin, (CpuPin{3, {7}}));
    EXPECT_EQ(text_of(*pin), "3:7");
}

TEST(Limits, WhatIsNoPinIsRefused) {
    for (const char* text :
         {"", "a", "1-", "-1", "2-1", "1,,2", "1,", ":", "1:", "x:1", "0:1:2", "1024", "0-99999999999"})
        EXPECT_THAT(pin_error(text), HasSubstr("--cpu-pin")) << text;
}

TEST(Limits, AQuotaIsPercentOfOneProcessor) {
    EXPECT_EQ(*quota_from("150%"), 150u);
    EXPECT_EQ(*quota_from("50"), 50u);
    EXPECT_EQ(*quota_from("0"), 0u);
    EXPECT_EQ(quota_text(150), "150%");
    for (const char* text : {"", "%", "half", "-5%", "1.5", "50%%", "102401%"}) EXPECT_FALSE(quota_from(text)) << text;
}

TEST(Limits, ACpuThatTheMachineLacksCannotBePinned) {
    EXPECT_TRUE(validate({.pins = {{1, {0}}}}, 2));
    EXPECT_FALSE(validate({.pins = {{2, {0}}}}, 2));
    EXPECT_FALSE(validate({.pins = {{1, {0}}, {1, {1}}}}, 2));
    EXPECT_FALSE(validate({.pins = {{-1, {0}}, {-1, {1}}}}, 2));
    EXPECT_FALSE(validate({.pins = {{-1, {}}}}, 2));
}

TEST(Limits, ValuesOutOfRangeAreRefused) {
    EXPECT_TRUE(validate({.cpu_weight = 10'000, .memory_limit = kMinMemoryLimit, .io_weight = 1}, 1));
    EXPECT_FALSE(validate({.cpu_weight = 10'001}, 1));
    EXPECT_FALSE(validate({.io_weight = 10'001}, 1));
    EXPECT_FALSE(validate({.memory_limit = kMinMemoryLimit - 1}, 1));
    EXPECT_FALSE(validate({.cpu_quota = kMaxQuota + 1}, 1));
}

TEST(Limits, ACpusOwnPinComesBeforeThatOfAll) {
    const Limits limits{.pins = {{1, {3}}, {-1, {0, 1}}}};
    EXPECT_THAT(processors_for(limits, 0), ElementsAre(0, 1));
    EXPECT_THAT(processors_for(limits, 1), ElementsAre(3));
    EXPECT_THAT(processors_for(limits, -1), ElementsAre(0, 1));
    EXPECT_TRUE(processors_for({}, 0).empty());
}

}  // namespace
}  // namespace doppel::machine
