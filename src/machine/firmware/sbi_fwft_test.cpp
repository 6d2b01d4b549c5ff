#include "base/saved_state.h"
#include "machine/firmware/sbi_testing.h"

namespace doppel::machine::firmware::test {
namespace {

constexpr uint64_t kSet = 0, kGet = 1;
constexpr uint64_t kMisaligned = 0, kUpdating = 4;
constexpr uint64_t kLock = 1;

class SbiFwft : public SbiTest {
  protected:
    uint64_t get(uint64_t feature) {
        Answered answered = call(kFwft, kGet, {feature});
        EXPECT_EQ(answered.error, kSuccess);
        return answered.value;
    }
    bool updates_in_hardware() const { return (hart.csr.menvcfg & isa::riscv::envcfg::kAdue) != 0; }
};

TEST_F(SbiFwft, SwitchesHardwareUpdatingOfPageTables) {
    EXPECT_EQ(get(kUpdating), 1u);
    uint64_t others = hart.csr.menvcfg & ~isa::riscv::envcfg::kAdue;
    uint32_t version = hart.translation_version;
    EXPECT_EQ(error(kFwft, kSet, {kUpdating, 0, 0}), kSuccess);
    EXPECT_FALSE(updates_in_hardware());
    EXPECT_EQ(hart.csr.menvcfg, others);
    EXPECT_NE(hart.translation_version, version) << "cached translations are void";
    EXPECT_EQ(get(kUpdating), 0u);
    version = hart.translation_version;
    EXPECT_EQ(error(kFwft, kSet, {kUpdating, 0, 0}), kSuccess);
    EXPECT_EQ(hart.translation_version, version);
    EXPECT_EQ(error(kFwft, kSet, {uint64_t{1} << 32 | kUpdating, 1, 0}), kSuccess);
    EXPECT_TRUE(updates_in_hardware());
    EXPECT_NE(hart.translation_version, version);
}

TEST_F(SbiFwft, RemembersMisalignedDelegationAndStillDelegatesAtomics) {
    EXPECT_EQ(get(kMisaligned), 1u);
    uint64_t delegated = hart.csr.medeleg;
    EXPECT_EQ(error(kFwft, kSet, {kMisaligned, 0, 0}), kSuccess);
    EXPECT_EQ(get(kMisaligned), 0u);
    EXPECT_EQ(hart.csr.medeleg, delegated) << "there is no M-mode to take it";
    EXPECT_EQ(error(kFwft, kSet, {kMisaligned, 1, 0}), kSuccess);
    EXPECT_EQ(get(kMisaligned), 1u);
}

TEST_F(SbiFwft, KeepsALockedFeature) {
    EXPECT_EQ(error(kFwft, kSet, {kUpdating, 0, kLock}), kSuccess);
    for (uint64_t value : {0, 1}) {
        EXPECT_EQ(error(kFwft, kSet, {kUpdating, value, 0}), kDeniedLocked);
        EXPECT_EQ(error(kFwft, kSet, {kUpdating, value, kLock}), kDeniedLocked);
    }
    EXPECT_EQ(get(kUpdating), 0u);
    EXPECT_EQ(error(kFwft, kSet, {kMisaligned, 0, kLock}), kSuccess) << "another feature";
    EXPECT_EQ(error(kFwft, kSet, {kMisaligned, 1, 0}), kDeniedLocked);
    EXPECT_EQ(get(kMisaligned), 0u);
}

TEST_F(SbiFwft, LocksAHartAloneAndUntilItsReset) {
    EXPECT_EQ(error(kFwft, kSet, {kMisaligned, 0, kLock}), kSuccess);
    EXPECT_EQ(error(kFwft, kSet, {kUpdating, 0, kLock}), kSuccess);
    Hart other;
    other.id = 2;
    sbi.prepare(other);
    EXPECT_EQ(error(kFwft, kSet, {kUpdating, 1, 0}), kDeniedLocked);
    sbi.prepare(hart);
    EXPECT_EQ(get(kMisaligned), 1u);
    EXPECT_EQ(get(kUpdating), 1u);
    EXPECT_EQ(error(kFwft, kSet, {kUpdating, 0, 0}), kSuccess);
}

TEST_F(SbiFwft, KeepsFeaturesThroughANonRetentiveSuspend) {
    EXPECT_EQ(error(kFwft, kSet, {kUpdating, 0, kLock}), kSuccess);
    enter(kHsm, 3, {0x8000'0000, fake::kRam, 0});
    EXPECT_EQ(sbi.call(kCaller, hart), Next::kSuspend);
    EXPECT_EQ(get(kUpdating), 0u);
    EXPECT_EQ(error(kFwft, kSet, {kUpdating, 1, 0}), kDeniedLocked);
}

TEST_F(SbiFwft, RefusesWrongValuesAndFlags) {
    for (uint64_t feature : {kMisaligned, kUpdating}) {
        for (uint64_t value : {uint64_t{2}, uint64_t{0xffffffff}, uint64_t{1} << 32, kAll}) {
            EXPECT_EQ(error(kFwft, kSet, {feature, value, 0}), kInvalidParam) << value;
        }
        for (uint64_t flags : {uint64_t{2}, uint64_t{3}, uint64_t{1} << 32, kAll}) {
            EXPECT_EQ(error(kFwft, kSet, {feature, 0, flags}), kInvalidParam) << flags;
        }
        EXPECT_EQ(get(feature), 1u);
        EXPECT_EQ(error(kFwft, kSet, {feature, 1, 0}), kSuccess) << "nothing was locked";
    }
}

TEST_F(SbiFwft, TellsFeaturesThatAreMissingFromThoseThatAreReserved) {
    for (uint64_t feature : {1, 2, 3, 5}) {
        EXPECT_EQ(error(kFwft, kSet, {feature, 1, 0}), kNotSupported) << feature;
        EXPECT_EQ(error(kFwft, kGet, {feature}), kNotSupported) << feature;
    }
    for (uint64_t feature : {0x6u, 0x3fffffffu, 0x40000000u, 0x7fffffffu, 0x80000000u, 0xbfffffffu, 0xffffffffu}) {
        EXPECT_EQ(error(kFwft, kSet, {feature, 1, 0}), kDenied) << feature;
        Answered answered = call(kFwft, kGet, {feature});
        EXPECT_EQ(answered.error, kDenied) << feature;
        EXPECT_EQ(answered.value, 0u);
    }
}

TEST_F(SbiFwft, SavesAndRestoresWhatNoHartHolds) {
    EXPECT_EQ(error(kFwft, kSet, {kMisaligned, 0, kLock}), kSuccess);
    StateWriter writer;
    sbi.fields(writer);
    std::vector<uint8_t> document = writer.finish();
    sbi.prepare(hart);
    auto reader = StateReader::parse(document);
    ASSERT_TRUE(reader);
    sbi.fields(*reader);
    ASSERT_TRUE(reader->finish("restore SBI"));
    EXPECT_EQ(get(kMisaligned), 0u);
    EXPECT_EQ(error(kFwft, kSet, {kMisaligned, 1, 0}), kDeniedLocked);
    EXPECT_EQ(error(kFwft, kSet, {kUpdating, 1, 0}), kSuccess);
}

}  // namespace
}  // namespace doppel::machine::firmware::test
