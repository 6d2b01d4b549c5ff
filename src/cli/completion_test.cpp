#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/help.h"

namespace doppel::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Completion, OffersEveryBuiltVerbAndOptionInEveryShell) {
    for (const auto& script : {bash_completion(verbs()), zsh_completion(verbs()), fish_completion(verbs())}) {
        for (const Verb& verb : verbs()) {
            if (verb.state != State::kBuilt) continue;
            EXPECT_THAT(script, HasSubstr(std::string(verb.name)));
            for (const Option& option : verb.options) {
                const auto word = option.name.substr(option.name.find_first_not_of('-'));
                if (option.state == State::kBuilt) {
                    EXPECT_THAT(script, HasSubstr(std::string(word)));
                }
            }
        }
        EXPECT_THAT(script, HasSubstr("pty"));
    }
}

TEST(Completion, OffersNothingThatIsNotBuilt) {
    for (const auto& script : {bash_completion(verbs()), zsh_completion(verbs()), fish_completion(verbs())}) {
        EXPECT_THAT(script, Not(HasSubstr("snapshot")));
        EXPECT_THAT(script, Not(HasSubstr("volume")));
    }
}

TEST(Help, ShowsEachBuiltOptionAndNamesTheOthers) {
    for (const Verb& verb : verbs()) {
        if (verb.state != State::kBuilt) continue;
        const std::string help = help_for(verb);
        EXPECT_THAT(help, HasSubstr("Example: " + std::string(verb.example)));
        for (const Option& option : verb.options) EXPECT_THAT(help, HasSubstr(std::string(option.name)));
        EXPECT_THAT(help_for_doppel(), HasSubstr(std::string(verb.name)));
    }
}

}  // namespace
}  // namespace doppel::cli
