#include "device/test_finisher.h"

#include <gtest/gtest.h>

#include <vector>

#include "device/device_testing.h"

namespace doppel::device {
namespace {

class TestFinisherTest : public testing::Test {
  protected:
    std::vector<Finish> finishes;
    TestFinisher finisher{[this](Finish finish) { finishes.push_back(finish); }};
};

TEST_F(TestFinisherTest, TellsPassFailAndReset) {
    finisher.write(0, 4, 0x5555);
    finisher.write(0, 4, 0xabcd3333);
    finisher.write(0, 4, 0x7777);
    EXPECT_EQ(finishes,
              (std::vector<Finish>{{FinishKind::kPass, 0}, {FinishKind::kFail, 0xabcd}, {FinishKind::kReset, 0}}));
}

TEST_F(TestFinisherTest, TakesAHalfWordWithoutCode) {
    finisher.write(0, 2, 0x3333);
    EXPECT_EQ(finishes, (std::vector<Finish>{{FinishKind::kFail, 0}}));
}

TEST_F(TestFinisherTest, IgnoresOtherValuesOffsetsAndBytes) {
    finisher.write(0, 4, 0x1234);
    finisher.write(4, 4, 0x5555);
    finisher.write(0, 1, 0x5555);
    EXPECT_TRUE(finishes.empty());
    EXPECT_EQ(finisher.read(0, 4), 0u);
}

TEST_F(TestFinisherTest, SavesAndRestoresNothing) {
    EXPECT_TRUE(restore(finisher, saved(finisher)));
}

}  // namespace
}  // namespace doppel::device
