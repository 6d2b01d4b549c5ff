// doppel rename, set, edit and apply.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/log.h"
#include "base/sizes.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"
#include "instance/document_text.h"
#include "instance/limits.h"

namespace doppel::cli {

namespace fs = std::filesystem;
using instance::Document;
using instance::Instance;
using instance::RunState;
using instance::Store;

namespace {

constexpr uint64_t kLimit = 1 << 20;  // bytes of a file that describes an instance

// Whether the guest has handed over so much, within two seconds. One without a driver never does.
bool balloon_follows(const Store& store, const Instance& instance, uint64_t bytes) {
    constexpr int kLooks = 40, kStep = 50'000;  // microseconds
    for (int i = 0; i < kLooks; i++) {
        const auto status = instance::control(store, instance, {});
        if (status && status->balloon >= bytes) return true;
        usleep(kStep);
    }
    return false;
}

// The values of `after` that a running machine can follow; false: not this one, or not now.

bool follows_memory(const Store& store, const Instance& instance, const Document& after) {
    const auto status = instance::control(store, instance, {});
    const uint64_t now = status ? status->memory : 0, wanted = after.machine.memory;
    if (wanted > now) return false;
    const uint64_t away = now - wanted;
    if (!instance::control(store, instance, {machine::control::Command::kBalloon, away, {}, {}})) return false;
    const bool followed = balloon_follows(store, instance, away);
    std::fprintf(stderr, "doppel: %s: the guest %s with %s\n", instance.row.name.c_str(),
                 followed ? "makes do" : "does not follow yet, and is asked to make do", format_size(wanted).c_str());
    return true;
}

bool follows_engine(const Store& store, const Instance& instance, const Document& after) {
    const std::string engine(machine::name_of(after.machine.engine));
    return instance::control(store, instance, {machine::control::Command::kEngine, 0, engine, {}}).has_value();
}

constexpr std::array kLimits{std::string_view("cpu_weight"), std::string_view("cpu_quota"),
                             std::string_view("cpu_pin"),    std::string_view("memory_limit"),
                             std::string_view("io_weight"),  std::string_view("io_bps"),
                             std::string_view("io_iops")};

bool is_limit(std::string_view key) {
    return std::ranges::find(kLimits, key) != kLimits.end();
}

// Each limit is told of, whether it holds now or only later.
void follow_limits(const Store& store, const Instance& instance, const Document& after) {
    if (instance.document.machine.limits == after.machine.limits || !instance.record) return;
    const fs::path directory = store.folder().directory_of(instance.row.id);
    const auto hold = instance::ChangesLock::wait(directory);
    if (!hold) return log_error("{}", hold.error().message());
    const auto ask = [&](const machine::control::Limits& limits) -> Result<> {
        machine::control::Request request{machine::control::Command::kLimits};
        request.limits = limits;
        DOPPEL_CHECK(instance::control(store, instance, request));
        return {};
    };
    const auto changed =
        instance::change_limits(directory, {instance.document.machine, after.machine, instance.record->machine, ask});
    for (const auto& [limit, value, by] : changed.now) {
        const std::string text = value.empty() ? "is no longer limited" : "is " + value + " now";
        std::fprintf(stderr, "doppel: %s: %s %s, by %s\n", instance.row.name.c_str(), limit.c_str(), text.c_str(),
                     by.c_str());
    }
    for (const auto& [limit, value, by] : changed.later)
        std::fprintf(stderr, "doppel: %s: %s is %s when it starts again, not now: %s\n", instance.row.name.c_str(),
                     limit.c_str(), value.empty() ? "no limit" : value.c_str(), by.c_str());
}

// What a running machine follows at once, and what it will be when it starts again.
void change_what_runs(const Store& store, const Instance& instance, const Document& after) {
    if (instance.state != RunState::kRunning && instance.state != RunState::kPaused) return;
    follow_limits(store, instance, after);
    std::string later;
    for (const std::string& key : instance::changed_keys(instance.document, after)) {
        if (key == "autostart" || is_limit(key) || (key == "memory" && follows_memory(store, instance, after)) ||
            (key == "engine" && follows_engine(store, instance, after))) {
            continue;
        }
        later += (later.empty() ? "" : ", ") + key;
    }
    if (!later.empty()) {
        std::fprintf(stderr, "doppel: %s runs; when it starts again changes: %s\n", instance.row.name.c_str(),
                     later.c_str());
    }
}

Result<> make_paths_absolute(Document& document) {
    std::error_code error;
    const auto folder = fs::current_path(error);
    if (error) return fail(Error::system("change", "the working directory", error.value()));
    return instance::make_absolute(document.machine, folder);
}

// The whole document, which somebody else must not have changed meanwhile.
Result<> replace(Store& store, const Instance& instance, const Document& wanted) {
    DOPPEL_CHECK(store.edit(instance, [&](Document& document) -> Result<> {
        if (document != instance.document)
            return fail(Error{"change", instance.row.name, "another command has changed it meanwhile", "begin again"});
        document = wanted;
        return {};
    }));
    change_what_runs(store, instance, wanted);
    return {};
}

class TemporaryFile {
  public:
    static Result<TemporaryFile> make(const std::string& content) {
        const char* folder = std::getenv("TMPDIR");
        std::string path = std::string(folder != nullptr && folder[0] == '/' ? folder : "/tmp") + "/doppel-XXXXXX.toml";
        constexpr int kSuffix = 5;
        UniqueFd fd(mkstemps(path.data(), kSuffix));
        if (!fd) return fail(Error::system("edit", path, errno));
        TemporaryFile file(path);
        if (!write_all(fd.get(), {reinterpret_cast<const uint8_t*>(content.data()), content.size()}))
            return fail(Error::system("edit", path, errno));
        return file;
    }
    TemporaryFile(TemporaryFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TemporaryFile& operator=(TemporaryFile&&) = delete;
    ~TemporaryFile() {
        if (!path_.empty()) unlink(path_.c_str());
    }
    const std::string& path() const { return path_; }

  private:
    explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

Result<std::string> text_of(const fs::path& path) {
    DOPPEL_TRY(const auto bytes, read_file(path, kLimit, "read"));
    return std::string(bytes.begin(), bytes.end());
}

// The user's editor, which may be a command with words of its own.
Result<> run_editor(const std::string& path) {
    const char* editor = std::getenv("VISUAL");
    if (editor == nullptr || *editor == '\0') editor = std::getenv("EDITOR");
    if (editor == nullptr || *editor == '\0') editor = "vi";
    const std::string script = std::string(editor) + " \"$1\"";
    char* const words[] = {const_cast<char*>("sh"), const_cast<char*>("-c"),         const_cast<char*>(script.c_str()),
                           const_cast<char*>("sh"), const_cast<char*>(path.c_str()), nullptr};
    pid_t child = -1;
    const int error = posix_spawn(&child, "/bin/sh", nullptr, nullptr, words, environ);
    if (error != 0) return fail(Error::system("edit", editor, error));
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    return fail(Error{"edit", editor, "it failed", "set EDITOR; nothing was changed"});
}

bool confirmed() {
    std::fprintf(stderr, "doppel: apply this? [y/N] ");
    char answer[16] = "";
    return std::fgets(answer, sizeof answer, stdin) != nullptr && (answer[0] == 'y' || answer[0] == 'Y');
}

}  // namespace

Result<int> run_rename(const Arguments& arguments) {
    const auto& words = arguments.operands();
    if (words.size() != 2)
        return fail(Error::usage("rename", "it needs a name and a new one", "doppel rename OLD NEW"));
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const Instance instance, store.find(words[0]));
    DOPPEL_CHECK(store.rename(instance, words[1]));
    return 0;
}

Result<int> run_set(const Arguments& arguments) {
    const auto& words = arguments.operands();
    if (words.size() < 2) return fail(Error::usage("set", "it needs a name and KEY=VALUE", "doppel set dev cpus=4"));
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const Instance instance, store.find(words[0]));
    DOPPEL_TRY(const Document after, store.edit(instance, [&](Document& document) -> Result<> {
        DOPPEL_CHECK(instance::set_values(document, {words.begin() + 1, words.end()}));
        return make_paths_absolute(document);
    }));
    change_what_runs(store, instance, after);
    return 0;
}

Result<int> run_edit(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const std::string name, one_name(arguments));
    DOPPEL_TRY(const Instance instance, store.find(name));
    DOPPEL_TRY(const TemporaryFile file, TemporaryFile::make(instance::to_toml(instance.document)));
    DOPPEL_CHECK(run_editor(file.path()));
    DOPPEL_TRY(const std::string text, text_of(file.path()));
    DOPPEL_TRY(Document wanted, instance::document_from_toml(text));
    DOPPEL_CHECK(make_paths_absolute(wanted));
    if (wanted == instance.document) {
        std::fprintf(stderr, "doppel: nothing was changed\n");
        return 0;
    }
    DOPPEL_CHECK(replace(store, instance, wanted));
    return 0;
}

Result<int> run_apply(const Arguments& arguments) {
    DOPPEL_TRY(const std::string path, one_name(arguments));
    DOPPEL_TRY(const std::string text, text_of(path));
    std::string name;
    DOPPEL_TRY(Document wanted, instance::document_from_toml(text, &name));
    DOPPEL_CHECK(make_paths_absolute(wanted));
    if (name.empty()) return fail(Error::usage(path, "it does not say whose it is", "add name = \"NAME\""));
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const auto all, store.list());
    const auto found = std::ranges::find(all, name, [](const Instance& one) { return one.row.name; });
    const bool is_new = found == all.end();
    const std::string shown = is_new ? "+" + name + "\n" : instance::difference(found->document, wanted);
    std::fputs(shown.c_str(), stdout);
    std::fflush(stdout);
    if (shown.empty() || arguments.has("--dry-run")) return 0;
    if (!arguments.has("--yes") && isatty(STDIN_FILENO) == 1 && !confirmed())
        return fail(Error{"apply", name, "you did not agree", ""});
    if (!is_new) {
        DOPPEL_CHECK(replace(store, *found, wanted));
        return 0;
    }
    DOPPEL_CHECK(store.make(name, wanted));
    return 0;
}

}  // namespace doppel::cli
