// doppel cp: files by the agent, directories through tar at both ends.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "cli/instance/guest.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"

namespace doppel::cli {

namespace fs = std::filesystem;
using agent::client::Client;
using instance::Instance;
using instance::Store;

namespace {

constexpr const char* kCopy = "copy";

// NAME:PATH, or a path of the host: what has a '/' before its ':' is one.
struct Place {
    std::string instance;  // empty: the host
    std::string path;
};

Place place_from(const std::string& text) {
    const size_t colon = text.find(':');
    if (colon == text.npos || colon == 0 || text.substr(0, colon).find('/') != text.npos) return {"", text};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

Result<int> run_script(Client& client, const std::string& script, std::vector<std::string> words,
                       const agent::client::Streams& streams = {.control = {}, .info = {}}) {
    agent::ExecRequest request;
    request.arguments = {"/bin/sh", "-c", script, "sh"};
    request.arguments.insert(request.arguments.end(), words.begin(), words.end());
    DOPPEL_TRY(const auto outcome, client.run(agent::Service::kExec, agent::encode(request), streams));
    if (outcome.status != agent::Status::kDone) return fail(agent::client::error_of(outcome, kCopy));
    constexpr int kSignalBase = 128;
    return static_cast<int>(outcome.signal != 0 ? kSignalBase + outcome.signal : outcome.exit_code);
}

Result<bool> is_directory_there(Client& client, const std::string& path) {
    DOPPEL_TRY(const int code, run_script(client, "test -d \"$1\"", {path}));
    return code == 0;
}

std::string name_in(const fs::path& path) {
    const fs::path whole = path.lexically_normal();
    return whole.has_filename() ? whole.filename().string() : whole.parent_path().filename().string();
}

// The host's tar, at one end of a pipe.
class Tar {
  public:
    static Result<Tar> start(const std::vector<std::string>& words, bool reads) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) return fail(Error::system(kCopy, "pipe", errno));
        UniqueFd reading(ends[0]), writing(ends[1]);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, reads ? reading.get() : writing.get(),
                                         reads ? STDIN_FILENO : STDOUT_FILENO);
        std::vector<char*> arguments{const_cast<char*>("tar")};
        for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        pid_t child = -1;
        const int error = posix_spawnp(&child, "tar", &actions, nullptr, arguments.data(), environ);
        posix_spawn_file_actions_destroy(&actions);
        if (error != 0) return fail(Error::system(kCopy, "tar", error));
        return Tar(child, std::move(reads ? writing : reading));
    }
    Tar(Tar&& other) noexcept : child_(std::exchange(other.child_, -1)), pipe_(std::move(other.pipe_)) {}
    Tar& operator=(Tar&&) = delete;
    ~Tar() { (void)finish(); }

    int pipe() const { return pipe_.get(); }
    bool finish() {
        pipe_.reset();
        int status = 0;
        if (child_ < 0) return false;
        while (waitpid(std::exchange(child_, -1), &status, 0) < 0 && errno == EINTR) {
        }
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

  private:
    Tar(pid_t child, UniqueFd pipe) : child_(child), pipe_(std::move(pipe)) {}
    pid_t child_;
    UniqueFd pipe_;
};

Result<> check_tar(const Result<int>& guest, bool host, const std::string& path) {
    DOPPEL_CHECK(guest);
    constexpr int kNotFound = 127;
    if (*guest == kNotFound)
        return fail(Error{kCopy, path, "there is no tar in the guest", "copy its files one by one"});
    if (*guest != 0 || !host) return fail(Error{kCopy, path, "tar failed", "see what it said"});
    return {};
}

Result<> put_directory(Client& client, const fs::path& from, const std::string& to) {
    DOPPEL_TRY(Tar tar, Tar::start({"-C", from, "-cf", "-", "."}, /*reads=*/false));
    const agent::client::Streams streams{
        .input = tar.pipe(), .output = STDERR_FILENO, .error = STDERR_FILENO, .control = {}, .info = {}};
    const auto code =
        run_script(client, "d=$1; if test -d \"$d\"; then d=$d/$2; fi; mkdir -p \"$d\" && exec tar -xf - -C \"$d\"",
                   {to, name_in(fs::absolute(from))}, streams);
    return check_tar(code, tar.finish(), from);
}

// Beside the place, and moved there when it is whole.
Result<> get_directory(Client& client, const std::string& from, fs::path to) {
    std::error_code error;
    if (fs::is_directory(to, error)) to /= name_in(from);
    if (fs::exists(to, error)) return fail(Error::system(kCopy, to, EEXIST));
    to = fs::absolute(to, error).lexically_normal();
    if (!to.has_filename()) to = to.parent_path();
    std::string beside = (to.parent_path() / ".doppel-cp-XXXXXX").string();
    if (mkdtemp(beside.data()) == nullptr) return fail(Error::system(kCopy, to.parent_path(), errno));
    DOPPEL_TRY(Tar tar, Tar::start({"--no-same-owner", "-C", beside, "-xf", "-"}, /*reads=*/true));
    const agent::client::Streams streams{.output = tar.pipe(), .error = STDERR_FILENO, .control = {}, .info = {}};
    const auto code = run_script(client, "exec tar -cf - -C \"$1\" .", {from}, streams);
    Result<> done = check_tar(code, tar.finish(), from);
    if (done && rename(beside.c_str(), to.c_str()) != 0) done = fail(Error::system(kCopy, to, errno));
    if (!done) fs::remove_all(beside, error);
    return done;
}

Result<> put(Client& client, const fs::path& from, const std::string& to) {
    std::error_code error;
    if (fs::is_directory(from, error)) return put_directory(client, from, to);
    std::string target = to;
    DOPPEL_TRY(const bool is_directory, is_directory_there(client, to));
    if (is_directory || to.ends_with('/')) target += (to.ends_with('/') ? "" : "/") + name_in(from);
    return agent::client::put_file(client, from, {.path = target});
}

Result<> get(Client& client, const std::string& from, const fs::path& to) {
    DOPPEL_TRY(const bool is_directory, is_directory_there(client, from));
    if (is_directory) return get_directory(client, from, to);
    std::error_code error;
    return agent::client::get_file(client, from, fs::is_directory(to, error) ? to / name_in(from) : to);
}

Result<> copy(Store& store, const Place& from, const Place& to) {
    if (from.instance.empty() == to.instance.empty())
        return fail(Error::usage("cp", from.instance.empty() ? "neither end is an instance" : "both ends are instances",
                                 "write one of them as NAME:PATH"));
    const std::string& name = from.instance.empty() ? to.instance : from.instance;
    if ((from.instance.empty() ? to : from).path.empty())
        return fail(Error::usage("cp", name + ": has no path", "write NAME:PATH"));
    DOPPEL_TRY(const Instance instance, find_running(store, name, kCopy));
    DOPPEL_TRY(Client client, agent_of(store, instance));
    return from.instance.empty() ? put(client, from.path, to.path) : get(client, from.path, to.path);
}

}  // namespace

Result<int> run_cp(const Arguments& arguments) {
    const auto& words = arguments.operands();
    if (words.size() < 2)
        return fail(Error::usage("cp", "it needs what to copy and where to", "doppel cp FILE NAME:PATH"));
    DOPPEL_TRY(Store store, Store::open());
    for (size_t i = 0; i + 1 < words.size(); i++)
        DOPPEL_CHECK(copy(store, place_from(words[i]), place_from(words.back())));
    return 0;
}

}  // namespace doppel::cli
