#include "instance/keeper/record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <ctime>

#include "instance/keeper/layout.h"

namespace doppel::instance {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

}  // namespace

const char* word_of(Phase phase) {
    switch (phase) {
        case Phase::kStarting:
            return "starting";
        case Phase::kRunning:
            return "running";
        case Phase::kRestarting:
            return "restarting";
        case Phase::kEnded:
            break;
    }
    return "ended";
}

uint64_t time_now() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

void format_time(uint64_t time, char* text) {
    constexpr uint64_t kMilli = 1'000'000;
    const auto seconds = static_cast<time_t>(time / kSecond);
    tm fields{};
    gmtime_r(&seconds, &fields);
    char date[kTimeText] = "";
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &fields);
    snprintf(text, kTimeText, "%.20s.%03uZ", date, static_cast<unsigned>(time % kSecond / kMilli));
}

bool write_record(int directory, const Record& record) {
    constexpr const char* kNew = "status.new";
    char text[512];
    const int size =
        snprintf(text, sizeof text,
                 "{\"phase\":\"%s\",\"keeper\":%d,\"machine\":%d,\"started\":%llu,\"ended\":%llu,"
                 "\"code\":%d,\"restarts\":%u}\n",
                 word_of(record.phase), record.keeper, record.machine, static_cast<unsigned long long>(record.started),
                 static_cast<unsigned long long>(record.ended), record.code, record.restarts);
    const int fd = openat(directory, kNew, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return false;
    const bool whole = write(fd, text, static_cast<size_t>(size)) == size;
    close(fd);
    if (whole && renameat(directory, kNew, directory, kStatusFile) == 0) return true;
    unlinkat(directory, kNew, 0);
    return false;
}

void write_event(const char* log, const char* id, const char* name, const char* event, const char* detail) {
    char when[kTimeText], line[512];
    format_time(time_now(), when);
    const int size = snprintf(line, sizeof line, "{\"time\":\"%s\",\"id\":\"%s\",\"name\":\"%s\",\"event\":\"%s\"%s}\n",
                              when, id, name, event, detail);
    // A line that is lost to a full disk is no reason to end anything.
    const int fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return;
    struct stat status {};
    char old[PATH_MAX];
    // Two that see it at once move it twice: a few lines of the present are lost at worst, never a half one.
    const bool full = fstat(fd, &status) == 0 && status.st_size > kEventsLimit;
    if (full && snprintf(old, sizeof old, "%s.1", log) < static_cast<int>(sizeof old)) rename(log, old);
    [[maybe_unused]] const ssize_t put = write(fd, line, std::min(static_cast<size_t>(size), sizeof line - 1));
    close(fd);
}

}  // namespace doppel::instance
