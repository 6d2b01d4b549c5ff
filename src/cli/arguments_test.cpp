#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace doppel::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<Arguments> parse(std::string_view verb, const std::vector<std::string>& words) {
    return Arguments::parse(*find_verb(verbs(), verb), words);
}

std::string error(std::string_view verb, const std::vector<std::string>& words) {
    const auto parsed = parse(verb, words);
    return parsed ? "accepted" : parsed.error().message();
}

TEST(Arguments, ReadsValuesInBothForms) {
    const auto parsed = parse("run", {"--cpus", "2", "--memory=1G", "--append=a=b", "--no-reboot", "tiny"});
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->value("--cpus"), "2");
    EXPECT_EQ(parsed->value("--memory"), "1G");
    EXPECT_EQ(parsed->value("--append"), "a=b");
    EXPECT_TRUE(parsed->has("--no-reboot"));
    EXPECT_FALSE(parsed->has("--kernel"));
    EXPECT_THAT(parsed->operands(), ElementsAre("tiny"));
}

TEST(Arguments, LeaveTheNextWordAloneWhereAValueIsOptional) {
    const auto parsed = parse("run", {"--stats", "tiny"});
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->value("--stats"), "-");
    EXPECT_THAT(parsed->operands(), ElementsAre("tiny"));
    EXPECT_EQ(parse("run", {"--stats=a=b", "tiny"})->value("--stats"), "a=b");
    EXPECT_EQ(parse("run", {"--stats=", "tiny"})->value("--stats"), "");
}

TEST(Arguments, EndOptionsAtWhat) {
    const auto parsed = parse("run", {"-i", "tiny", "--cpus", "--help", "-t"});
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_THAT(parsed->operands(), ElementsAre("tiny", "--cpus", "--help", "-t"));
    EXPECT_FALSE(parsed->help());
    EXPECT_FALSE(parsed->has("-t"));
}

TEST(Arguments, EndOptionsAtTwoDashes) {
    const auto parsed = parse("run", {"--", "--kernel"});
    ASSERT_TRUE(parsed);
    EXPECT_THAT(parsed->operands(), ElementsAre("--kernel"));
}

TEST(Arguments, BundleLetters) {
    const auto parsed = parse("run", {"-it", "tiny"});
    ASSERT_TRUE(parsed);
    EXPECT_TRUE(parsed->has("-i"));
    EXPECT_TRUE(parsed->has("-t"));
}

TEST(Arguments, TakeAValueThatLooksLikeAnOption) {
    const auto parsed = parse("run", {"--append", "--quiet", "tiny"});
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->value("--append"), "--quiet");
}

TEST(Arguments, FindHelpBeforeAnythingElseIsWrong) {
    EXPECT_TRUE(parse("run", {"--disk", "x", "--help", "--nonsense"})->help());
    EXPECT_TRUE(parse("version", {"-h"})->help());
}

TEST(Arguments, RefuseWhatIsWrong) {
    EXPECT_THAT(error("run", {"--memroy", "1G"}), HasSubstr("--memroy: no such option; did you mean --memory?"));
    EXPECT_THAT(error("run", {"--zzzzzzzzzzz"}), HasSubstr("doppel run --help"));
    EXPECT_THAT(error("run", {"-z"}), HasSubstr("-z: no such option"));
    EXPECT_THAT(error("run", {"--memory"}), HasSubstr("its value is missing; give SIZE"));
    EXPECT_THAT(error("run", {"--no-reboot=yes"}), HasSubstr("takes no value"));
    EXPECT_THAT(error("run", {"--cpus", "1", "--cpus", "2"}), HasSubstr("given twice"));
    EXPECT_THAT(error("version", {"now"}), HasSubstr("now: not expected here"));
    EXPECT_THAT(error("completion", {"bash", "zsh"}), HasSubstr("zsh: not expected here"));
}

TEST(Arguments, RefuseWhatIsNotBuiltByName) {
    for (const auto& words :
         std::vector<std::vector<std::string>>{{"--volume", "x:/y"}, {"-w", "d"}, {"-e", "A=1", "-eB=2"}}) {
        const auto parsed = parse("run", words);
        ASSERT_FALSE(parsed) << words[0];
        EXPECT_EQ(parsed.error().kind, ErrorKind::kFailed) << words[0];
        EXPECT_THAT(parsed.error().message(), HasSubstr("not built yet"));
    }
}

TEST(Verbs, AreKnownWhetherBuiltOrNot) {
    for (const char* name : {"run", "image", "doctor", "snapshot", "oci", "serve", "top"})
        EXPECT_NE(find_verb(verbs(), name), nullptr) << name;
    EXPECT_EQ(find_verb(verbs(), "fly"), nullptr);
}

TEST(Verbs, ThatAreBuiltCanBeRunAndHaveAnExample) {
    for (const Verb& verb : verbs()) {
        if (verb.state != State::kBuilt) continue;
        EXPECT_TRUE(verb.run != nullptr || !verb.program.empty()) << verb.name;
        EXPECT_THAT(std::string(verb.example), HasSubstr("doppel " + std::string(verb.name))) << verb.name;
        EXPECT_FALSE(verb.summary.empty()) << verb.name;
    }
}

TEST(Suggestion, NamesTheNearestButNothingFar) {
    const std::vector<std::string_view> names{"run", "rm", "doctor"};
    EXPECT_EQ(suggestion("rnu", names), "did you mean run?");
    EXPECT_EQ(suggestion("docter", names), "did you mean doctor?");
    EXPECT_EQ(suggestion("elephant", names), "");
    EXPECT_EQ(suggestion(std::string(100000, 'x'), names), "");
    EXPECT_EQ(suggestion("x", {}), "");
}

}  // namespace
}  // namespace doppel::cli
