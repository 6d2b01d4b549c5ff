#include "machine/statistics_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/temporary_folder.h"

namespace doppel::machine {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

RunFigures figures() {
    RunFigures made{"translate", 2, 2'000'000'000, 4'000'000'000, {}};
    made.counts.add("instructions", 1'000'000);
    made.counts.add("translation_nanoseconds", 1'500'000);
    made.counts.add("instructions", 7'000'000);
    made.counts.add("code_cache_used_bytes", 3 << 19);
    return made;
}

std::string content_of(const std::string& path) {
    std::ifstream file(path);
    return (std::stringstream() << file.rdbuf()).str();
}

TEST(StatisticsReport, ShowsPeopleUnitsAndSums) {
    const std::string text = text_of(figures());
    EXPECT_THAT(text, HasSubstr("2 harts by the engine translate\n"));
    EXPECT_THAT(text, ContainsRegex("wall time +2\\.000 s\n"));
    EXPECT_THAT(text, ContainsRegex("MIPS by wall time +4\\.0\n"));
    EXPECT_THAT(text, ContainsRegex("MIPS by processor time +2\\.0\n"));
    EXPECT_THAT(text, ContainsRegex("  instructions +8,000,000\n"));
    EXPECT_THAT(text, ContainsRegex("translation +0\\.002 s\n"));
    EXPECT_THAT(text, ContainsRegex("code cache used bytes +1\\.5 MiB\n"));
}

TEST(StatisticsReport, GivesProgramsTheSameFigures) {
    const auto json = nlohmann::json::parse(json_of(figures()));
    EXPECT_EQ(json["engine"], "translate");
    EXPECT_EQ(json["harts"], 2);
    EXPECT_EQ(json["processor_nanoseconds"], 4'000'000'000);
    EXPECT_EQ(json["mips_by_wall_time"], 4.0);
    EXPECT_EQ(json["instructions"], 8'000'000);
    EXPECT_EQ(json["translation_nanoseconds"], 1'500'000);
}

TEST(StatisticsReport, KnowsNoSpeedWithoutTimeOrInstructions) {
    RunFigures none{"other", 1, 0, 5, {}};
    const auto json = nlohmann::json::parse(json_of(none));
    EXPECT_EQ(json["mips_by_wall_time"], 0.0);
    EXPECT_EQ(json["mips_by_processor_time"], 0.0);
}

TEST(StatisticsReport, LeavesAnOldFileAloneUntilTheHartsStart) {
    const TemporaryFolder folder;
    const std::string path = folder.path() / "stats.json";
    std::ofstream(path) << std::string(10000, 'x');
    auto report = StatisticsReport::open(path);
    ASSERT_TRUE(report) << report.error().message();
    EXPECT_EQ(content_of(path).size(), 10000u);
    ASSERT_TRUE((*report)->begin());
    EXPECT_EQ(content_of(path), "");
    (*report)->write("translate", 1, figures().counts);
    EXPECT_EQ(nlohmann::json::parse(content_of(path))["instructions"], 8'000'000);
}

TEST(StatisticsReport, RefusesWhatCannotBeOpened) {
    const auto report = StatisticsReport::open("/nowhere/at/all");
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error().message(), HasSubstr("open statistics: /nowhere/at/all: "));
}

}  // namespace
}  // namespace doppel::machine
