// doppel console and doppel logs.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

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
    // With a prefix each line is written whole, behind it.
    Follower(const Store& store, Instance instance, std::string prefix)
        : store_(store),
          instance_(std::move(instance)),
          prefix_(std::move(prefix)),
          path_(store.folder().directory_of(instance_.row.id) / instance::kLogFile) {}

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
        return put(std::string_view(text).substr(lines ? start_of_tail(text, *lines) : 0));
    }
    // What has come since. False: it has ended, and all is printed.
    Result<bool> print_more() {
        const bool over = instance::wait_until_stopped(store_, instance_, 0);
        DOPPEL_CHECK(print_new());
        return !over;
    }
    // A last line that has no end yet.
    Result<> finish() {
        if (rest_.empty()) return {};
        return put("\n");
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
            DOPPEL_CHECK(put({piece, static_cast<size_t>(got)}));
        }
    }

    Result<> put(std::string_view text) {
        if (prefix_.empty()) return print(text);
        std::string lines;
        for (const char c : text) {
            rest_ += c;
            if (c != '\n') continue;
            lines += prefix_ + rest_;
            rest_.clear();
        }
        return print(lines);
    }

    const Store& store_;
    const Instance instance_;
    const std::string prefix_;
    std::string rest_;  // of a line that has no end yet
    const fs::path path_;
    UniqueFd file_;
};

Result<> follow_all(std::vector<std::unique_ptr<Follower>>& followers) {
    constexpr auto kStep = std::chrono::milliseconds(50);
    std::vector<Follower*> left;
    for (const auto& one : followers) left.push_back(one.get());
    while (true) {
        for (size_t i = 0; i < left.size();) {
            DOPPEL_TRY(const bool goes_on, left[i]->print_more());
            if (goes_on)
                i++;
            else
                left.erase(left.begin() + static_cast<std::ptrdiff_t>(i));
        }
        if (left.empty()) return {};
        std::this_thread::sleep_for(kStep);
    }
}

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
    std::optional<uint64_t> lines;
    if (const auto tail = arguments.value("--tail")) {
        DOPPEL_TRY(lines, parse_count(*tail, "--tail"));
    }
    std::vector<Instance> instances;
    DOPPEL_TRY(const int code, for_each_name(arguments, store, [&](const Instance& one) -> Result<> {
                   instances.push_back(one);
                   return {};
               }));
    // Of several each line says whose it is.
    size_t width = 0;
    for (const Instance& one : instances) width = std::max(width, one.row.name.size());
    std::vector<std::unique_ptr<Follower>> followers;
    for (Instance& one : instances) {
        std::string prefix;
        if (arguments.operands().size() > 1)
            prefix = one.row.name + std::string(width - one.row.name.size(), ' ') + " | ";
        followers.push_back(std::make_unique<Follower>(store, std::move(one), std::move(prefix)));
        DOPPEL_CHECK(followers.back()->print_all(lines));
    }
    if (arguments.has("--follow")) DOPPEL_CHECK(follow_all(followers));
    for (const auto& one : followers) DOPPEL_CHECK(one->finish());
    return code;
}

}  // namespace doppel::cli
