// How an instance runs or ended, as its keeper writes it down for everybody else: the file `status`, one JSON object.
// It tells nothing that decides: that something runs is known by the lock alone, and whose a process id is by who has
// the lock file open.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace doppel::instance {

enum class Phase : uint8_t { kStarting, kRunning, kRestarting, kEnded };
const char* word_of(Phase phase);

// Times are nanoseconds since 1970.
struct Record {
    Phase phase = Phase::kStarting;
    pid_t keeper = 0;
    pid_t machine = 0;      // 0: none at the moment
    uint64_t started = 0;   // the machine that runs or ran last
    uint64_t ended = 0;     // 0: it runs
    int code = -1;          // its exit code, 128 + n for a signal; -1: unknown
    uint32_t restarts = 0;  // by the policy, since the instance was started
};

// Beside, then renamed over `status` in `directory`; false with errno set.
bool write_record(int directory, const Record& record);

uint64_t time_now();  // nanoseconds since 1970

// Appends an event to the file at `log`: one line of JSON, written at once. `id` and `name` need no quoting. `detail`
// is further members, beginning with a comma, or empty. A file that has grown beyond kEventsLimit becomes `log`.1
// first.
inline constexpr int64_t kEventsLimit = 8 << 20;  // bytes
void write_event(const char* log, const char* id, const char* name, const char* event, const char* detail);

// RFC 3339 with milliseconds, UTC. `text` has room for kTimeText.
inline constexpr size_t kTimeText = 32;
void format_time(uint64_t time, char* text);

}  // namespace doppel::instance
