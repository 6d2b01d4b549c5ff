// doppel events.
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>

#include "base/clock.h"
#include "base/file.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"
#include "cli/values.h"

namespace doppel::cli {

namespace fs = std::filesystem;
using instance::Store;

namespace {

constexpr const char* kRead = "read the events";
constexpr uint64_t kSecond = 1'000'000'000;

Error no_time(const std::string& text) {
    return Error::usage("--since", text + " is no time",
                        "give RFC 3339 such as 2026-01-31T12:00:00Z, or an age such as 10m");
}

// "90s", "10m", "2h", "1d": nanoseconds.
std::optional<uint64_t> age_from(const std::string& text) {
    if (text.size() < 2) return std::nullopt;
    const size_t unit = std::string_view("smhd").find(text.back());
    const auto count = parse_count(std::string_view(text).substr(0, text.size() - 1), "--since");
    constexpr uint64_t kUnits[] = {1, 60, 3600, 86400}, kMost = 1 << 20;
    if (unit == std::string_view::npos || !count || *count > kMost) return std::nullopt;
    return *count * kUnits[unit] * kSecond;
}

// Nanoseconds since 1970.
Result<uint64_t> time_from(const std::string& text) {
    if (const auto age = age_from(text)) return host_clock().realtime() - *age;
    tm fields{};
    const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &fields);
    if (rest == nullptr) return fail(no_time(text));
    uint64_t fraction = 0;
    if (*rest == '.')
        for (uint64_t unit = kSecond / 10; *++rest >= '0' && *rest <= '9'; unit /= 10)
            fraction += static_cast<uint64_t>(*rest - '0') * unit;
    int hours = 0, minutes = 0;
    char sign = 0, more = 0;
    const bool zulu = std::string_view(rest) == "Z" || std::string_view(rest) == "z";
    const bool offset =
        std::sscanf(rest, "%c%2d:%2d%c", &sign, &hours, &minutes, &more) == 3 && (sign == '+' || sign == '-');
    if (!zulu && !offset) return fail(no_time(text));
    const time_t shift = (hours * 60 + minutes) * 60;
    const time_t seconds = timegm(&fields) - (sign == '-' ? -shift : offset ? shift : 0);
    if (seconds < 0) return fail(no_time(text));
    return static_cast<uint64_t>(seconds) * kSecond + fraction;
}

// Lines that are whole, from where it stands on; a file that was moved away is read to its end first.
class Reader {
  public:
    Reader(fs::path path, std::string since) : path_(std::move(path)), since_(std::move(since)) {}

    void skip_to_end() {
        if (reopen()) lseek(file_.get(), 0, SEEK_END);
    }
    Result<> print_old() {
        const fs::path old = path_.string() + ".1";
        if (access(old.c_str(), F_OK) != 0) return {};
        DOPPEL_TRY(file_, open_for_reading(old, kRead));
        DOPPEL_CHECK(print_rest());
        file_.reset();
        return {};
    }
    Result<> print_new() {
        while (true) {
            if (file_) DOPPEL_CHECK(print_rest());
            struct stat now {
            }, there{};
            const bool same = file_ && fstat(file_.get(), &now) == 0 && stat(path_.c_str(), &there) == 0 &&
                              now.st_ino == there.st_ino && now.st_dev == there.st_dev;
            if (same || !reopen()) return {};
        }
    }

  private:
    bool reopen() {
        auto file = open_for_reading(path_, kRead);
        if (!file) return false;
        file_ = std::move(*file);
        return true;
    }
    Result<> print_rest() {
        char piece[64 << 10];
        while (true) {
            const ssize_t got = read(file_.get(), piece, sizeof piece);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return fail(Error::system(kRead, path_, errno));
            if (got == 0) break;
            waiting_.append(piece, static_cast<size_t>(got));
            print_lines();
        }
        if (std::fflush(stdout) != 0) return fail(Error::system("print", "standard output", errno));
        return {};
    }
    void print_lines() {
        constexpr std::string_view kTime = "{\"time\":\"";
        size_t end = 0;
        while ((end = waiting_.find('\n')) != waiting_.npos) {
            const std::string_view line = std::string_view(waiting_).substr(0, end);
            const bool whole = line.starts_with(kTime) && line.ends_with('}');
            if (whole && line.substr(kTime.size(), since_.size()) >= since_)
                std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
            waiting_.erase(0, end + 1);
        }
    }

    const fs::path path_;
    const std::string since_;
    UniqueFd file_;
    std::string waiting_;
};

}  // namespace

Result<int> run_events(const Arguments& arguments) {
    DOPPEL_TRY(const Store store, Store::open());
    std::string since;
    if (const auto text = arguments.value("--since")) {
        DOPPEL_TRY(const uint64_t time, time_from(*text));
        since = time_text(time);
    }
    const UniqueFd changes(inotify_init1(IN_CLOEXEC));
    if (!changes ||
        inotify_add_watch(changes.get(), store.folder().root().c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return fail(Error::system(kRead, store.folder().root(), errno));
    Reader reader(store.folder().events(), since);
    if (since.empty() && !arguments.has("--no-follow"))
        reader.skip_to_end();
    else
        DOPPEL_CHECK(reader.print_old());
    while (true) {
        DOPPEL_CHECK(reader.print_new());
        if (arguments.has("--no-follow")) return 0;
        alignas(inotify_event) char events[4096];
        if (read(changes.get(), events, sizeof events) < 0 && errno != EINTR)
            return fail(Error::system(kRead, store.folder().root(), errno));
    }
}

}  // namespace doppel::cli
