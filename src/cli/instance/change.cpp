// doppel rename, set, edit and apply.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "cli/instance/follow.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"
#include "instance/document_text.h"

namespace doppel::cli {

namespace fs = std::filesystem;
using instance::Document;
using instance::Instance;
using instance::RunState;
using instance::Store;

namespace {

constexpr uint64_t kLimit = 1 << 20;  // bytes of a file that describes an instance

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
    follow(store, instance, wanted);
    return {};
}

// "disk-=x" means the file that is meant by "disk+=x" here.
Result<std::vector<std::string>> with_paths_to_remove(std::vector<std::string> assignments) {
    std::error_code error;
    const auto folder = fs::current_path(error);
    if (error) return fail(Error::system("change", "the working directory", error.value()));
    for (std::string& one : assignments) {
        for (const std::string_view removal : {"disk-=", "share-="}) {
            if (!one.starts_with(removal) || one.size() == removal.size()) continue;
            one = std::string(removal) + (folder / one.substr(removal.size())).lexically_normal().string();
        }
    }
    return assignments;
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
    const auto first = std::ranges::find_if(words, [](const std::string& word) { return word.find('=') != word.npos; });
    if (first == words.begin() || first == words.end())
        return fail(Error::usage("set", "it needs a name and KEY=VALUE", "doppel set dev cpus=4"));
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const auto values, with_paths_to_remove({first, words.end()}));
    const auto set = [&](const std::string& name) -> Result<> {
        DOPPEL_TRY(const Instance instance, store.find(name));
        DOPPEL_TRY(const Document after, store.edit(instance, [&](Document& document) -> Result<> {
            DOPPEL_CHECK(instance::set_values(document, values));
            return make_paths_absolute(document);
        }));
        follow(store, instance, after);
        return {};
    };
    if (first - words.begin() == 1) {
        DOPPEL_CHECK(set(words.front()));
        return 0;
    }
    int code = 0;
    for (auto name = words.begin(); name != first; ++name) {
        const Result<> done = set(*name);
        if (done) continue;
        std::fprintf(stderr, "doppel: %s\n", done.error().message().c_str());
        code = arguments.verb().failure;
    }
    return code;
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
