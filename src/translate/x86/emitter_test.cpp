#include "translate/x86/emitter.h"

#include <gtest/gtest.h>

#include "translate/x86/native_machine.h"

namespace doppel::translate::x86 {

TEST(Emitter, RandomBlocksDoWhatTheyMean) {
    constexpr uint64_t kSeed = 0x5eed, kTrials = 10'000;
    NativeMachine native;
    unsigned compiled = 0;
    for (uint64_t i = 0; i < kTrials; i++) {
        Choices choices(kSeed + i * 0xd134'2543'de82'ef95);
        Trial trial = try_random_blocks(native, choices);
        ASSERT_EQ(trial.problem, "") << "trial " << i;
        compiled += trial.compiled ? 1 : 0;
    }
    // Few need more values at once than there are places for.
    EXPECT_GT(compiled, kTrials * 9 / 10);
}

}  // namespace doppel::translate::x86
