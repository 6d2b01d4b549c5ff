// doppel console and doppel logs.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/file.h"
#include "cli/instance/attach.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"
#include "cli/values.h"

namespace doppel::cli {

namespace fs = std::filesystem;
using instance::Instance;
using instance::Store;

namespace {

constexpr const char* kReadLog = "read the log";

// The old ones first.
std::vector<fs::path> log_files(const fs::path& directory) {
    std::vector<fs::path> files;
    for (int i = instance::kLogFiles; i > 0; i--)
        files.push_back(directory / (std::string(instance::kLogFile) + "." + std::to_string(i)));
    files.push_back(directory / instance::kLogFile);
    return files;
}

Result<> print(std::string_view text) {
    if (write_all(STDOUT_FILENO, {reinterpret_cast<const uint8_t*>(text.data()), text.size()})) return {};
    return fail(Error::system("print", "standard output", errno));
}

// Where the last `lines` begin.
size_t start_of_tail(std::string_view text, uint64_t lines) {
    size_t at = text.size();
    if (at > 0 && text[at - 1] == '\n') at--;
    while (lines > 0) {
        const size_t end = at == 0 ? text.npos : text.rfind('\n', at - 1);
        if (end == text.npos) return 0;
        at = end;
        if (--lines == 0) return end + 1;
    }
    return text.size();
}

class Follower {
  public:
    Follower(const Store& store, const Instance& instance)
        : store_(store),
          instance_(instance),
          path_(store.folder().directory_of(instance.row.id) / instance::kLogFile) {}

    // What is there now, old files first, and from then on what comes.
    Result<> print_all(const std::optional<uint64_t>& lines) {
        std::string text;
        for (const fs::path& file : log_files(path_.parent_path())) {
            constexpr uint64_t kLimit = uint64_t{1} << 30;
            std::error_code error;
            if (!fs::exists(file, error)) continue;
            DOPPEL_TRY(UniqueFd fd, open_for_reading(file, kReadLog));
            DOPPEL_TRY(const auto part, read_whole(fd.get(), file, kLimit, kReadLog));
            text.append(part.begin(), part.end());
            if (file == path_) {
                lseek(fd.get(), static_cast<off_t>(part.size()), SEEK_SET);
                file_ = std::move(fd);
            }
        }
        return print(std::string_view(text).substr(lines ? start_of_tail(text, *lines) : 0));
    }
    Result<> follow() {
        constexpr auto kStep = std::chrono::milliseconds(50);
        while (true) {
            const bool over = instance::wait_until_stopped(store_, instance_, 0);
            DOPPEL_CHECK(print_new());
            if (over) return {};
            std::this_thread::sleep_for(kStep);
        }
    }

  private:
    Result<> print_new() {
        struct stat now {
        }, there{};
        while (true) {
            if (file_) DOPPEL_CHECK(print_rest());
            const bool same = file_ && fstat(file_.get(), &now) == 0 && stat(path_.c_str(), &there) == 0 &&
                              now.st_ino == there.st_ino && now.st_dev == there.st_dev;
            if (same || access(path_.c_str(), F_OK) != 0) return {};
            if (file_) DOPPEL_CHECK(print_rest());  // what came before it was moved away
            DOPPEL_TRY(file_, open_for_reading(path_, kReadLog));
        }
    }
    Result<> print_rest() {
        char piece[64 << 10];
        while (true) {
            const ssize_t got = read(file_.get(), piece, sizeof piece);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return fail(Error::system(kReadLog, path_, errno));
            if (got == 0) return {};
            DOPPEL_CHECK(print({piece, static_cast<size_t>(got)}));
        }
    }

    const Store& store_;
    const Instance& instance_;
    const fs::path path_;
    UniqueFd file_;
};

}  // namespace

Result<int> run_console(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const std::string name, one_name(arguments));
    DOPPEL_TRY(const Instance instance, store.find(name));
    if (!instance.runs()) return fail(instance::not_running(instance, "open the console"));
    DOPPEL_TRY(UniqueFd console, instance::open_console(store, instance));
    if (isatty(STDIN_FILENO) == 1)
        std::fprintf(stderr, "doppel: the console of %s; Ctrl-] leaves it\n", instance.row.name.c_str());
    DOPPEL_TRY(const Left left, attach(std::move(console)));
    if (isatty(STDIN_FILENO) == 1)
        std::fprintf(stderr, "\ndoppel: %s %s\n", instance.row.name.c_str(),
                     left == Left::kDetached ? "goes on" : "has ended");
    return 0;
}

Result<int> run_logs(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const std::string name, one_name(arguments));
    DOPPEL_TRY(const Instance instance, store.find(name));
    std::optional<uint64_t> lines;
    if (const auto tail = arguments.value("--tail")) {
        DOPPEL_TRY(lines, parse_count(*tail, "--tail"));
    }
    Follower follower(store, instance);
    DOPPEL_CHECK(follower.print_all(lines));
    if (arguments.has("--follow")) DOPPEL_CHECK(follower.follow());
    return 0;
}

}  // namespace doppel::cli
