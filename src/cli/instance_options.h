// The options of the verbs for instances.
#pragma once

#include <array>

#include "cli/verb.h"

namespace doppel::cli {

inline constexpr Option kAsJson{"--json", 0, "", "as JSON"};
inline constexpr Option kTimeout{"--timeout", 0, "SECONDS", "how long the guest may take to shut down (30)"};
inline constexpr Option kVariable{"-e", 'e', "K=V", "set a variable", State::kBuilt, true};
inline constexpr Option kDirectory{"-w", 'w', "DIR", "the directory to start in"};
inline constexpr Option kUser{"-u", 'u', "USER", "the user to run as: a name or number, :GROUP may follow"};

inline constexpr std::array kLsOptions{Option{"--quiet", 'q', "", "names only"},
                                       Option{"--deleted", 0, "", "what doppel undelete can bring back"}, kAsJson};
inline constexpr std::array kStartOptions{Option{"--attach", 'a', "", "attach to the console"}};
inline constexpr std::array kStopOptions{kTimeout};
inline constexpr std::array kLogsOptions{Option{"--follow", 'f', "", "go on as more comes"},
                                         Option{"--tail", 'n', "LINES", "only the last ones"}};
inline constexpr std::array kExecOptions{Option{"-i", 'i', "", "keep the input attached"},
                                         Option{"-t", 't', "", "give it a terminal"}, kVariable, kDirectory, kUser};
inline constexpr std::array kShellOptions{kVariable, kDirectory, kUser};
inline constexpr std::array kApplyOptions{Option{"--yes", 'y', "", "do not ask"},
                                          Option{"--dry-run", 0, "", "show the difference and change nothing"}};
inline constexpr std::array kStatsOptions{kAsJson, Option{"--prometheus", 0, "", "as Prometheus text"}};
inline constexpr std::array kEventsOptions{
    Option{"--since", 0, "TIME", "also what was: RFC 3339, or an age such as 90s, 10m, 2h, 1d"},
    Option{"--no-follow", 0, "", "end when all is told"}};
inline constexpr std::array kRmOptions{Option{"--force", 'f', "", "end it first if it runs"},
                                       Option{"--now", 0, "", "for good: doppel undelete cannot bring it back"}};
inline constexpr std::array kPruneOptions{Option{"--now", 0, "", "for good"}};
inline constexpr std::array kAutostartOptions{
    Option{"--off", 0, "", "no longer"}, Option{"--start", 0, "", "start them all, as the session's unit does"},
    Option{"--stop", 0, "", "stop them all, as it does at the end"}, kTimeout};

}  // namespace doppel::cli
