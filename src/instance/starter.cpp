// From a specification to a keeper that has its machine running.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "instance/lifecycle.h"
#include "instance/limits.h"
#include "network/lan/folder.h"

namespace doppel::instance {
namespace {

struct Pipe {
    UniqueFd reads, writes;
};

Result<Pipe> make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return fail(Error::system("start", "pipe", errno));
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// What the keeper inherits, by the same numbers.
class Spawn {
  public:
    Spawn() {
        posix_spawnattr_init(&attributes_);
        posix_spawn_file_actions_init(&actions_);
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
            posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", O_RDWR, 0);
    }
    ~Spawn() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    Spawn(const Spawn&) = delete;
    Spawn& operator=(const Spawn&) = delete;
    std::string keep(int fd) {
        posix_spawn_file_actions_adddup2(&actions_, fd, fd);
        return std::to_string(fd);
    }
    Result<pid_t> run(const std::filesystem::path& program, const std::vector<std::string>& words) {
        std::vector<char*> arguments{const_cast<char*>(program.c_str())};
        for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        pid_t child = -1;
        const int error = posix_spawn(&child, program.c_str(), &actions_, &attributes_, arguments.data(), environ);
        if (error != 0) return fail(Error::system("start", program, error));
        return child;
    }

  private:
    posix_spawnattr_t attributes_;
    posix_spawn_file_actions_t actions_;
};

// The last line that the machine said.
std::string last_message(const std::filesystem::path& directory) {
    constexpr uint64_t kLimit = 1 << 20;
    constexpr std::string_view kPrefix = "doppel: ";
    const auto text = read_file(directory / kMessagesFile, kLimit, "read");
    if (!text || text->empty()) return {};
    std::string_view rest(reinterpret_cast<const char*>(text->data()), text->size());
    while (rest.ends_with('\n')) rest.remove_suffix(1);
    if (const size_t at = rest.rfind('\n'); at != rest.npos) rest.remove_prefix(at + 1);
    if (rest.starts_with(kPrefix)) rest.remove_prefix(kPrefix.size());
    return std::string(rest);
}

// Until a line's end is there, behind which nothing is taken, or the pipe's.
std::string read_to_end(int pipe, bool line_only = false) {
    std::string text;
    char piece[64];
    while (!line_only || text.find('\n') == text.npos) {
        const ssize_t got = read(pipe, piece, line_only ? 1 : sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        text.append(piece, static_cast<size_t>(got));
    }
    return text;
}

// "started", or what is wrong.
Result<> wait_for_report(int report, const Instance& instance, const std::filesystem::path& directory) {
    const std::string text = read_to_end(report, /*line_only=*/true);
    if (text.starts_with("started")) return {};
    const std::string why = last_message(directory);
    if (text.empty()) return fail(Error{"start", instance.row.name, "its keeper was killed", "start it again"});
    if (why.empty()) return fail(Error{"start", instance.row.name, "the machine ended before it began", ""});
    return fail(Error{why, "", "", ""});
}

Result<UniqueFd> take_runs_lock(const Instance& instance, const std::filesystem::path& directory) {
    DOPPEL_TRY(UniqueFd lock, open_lock_file(directory));
    if (try_lock(lock.get(), kRunsByte)) return lock;
    return fail(Error{"start", instance.row.name, "it runs already", ""});
}

// What nothing was started in goes again.
class GroupsUntilStarted {
  public:
    explicit GroupsUntilStarted(std::filesystem::path directory) : directory_(std::move(directory)) {}
    ~GroupsUntilStarted() {
        if (!kept_) release_cgroups(directory_, Leftovers::kAwait);
    }
    GroupsUntilStarted(const GroupsUntilStarted&) = delete;
    GroupsUntilStarted& operator=(const GroupsUntilStarted&) = delete;
    void keep() { kept_ = true; }

  private:
    const std::filesystem::path directory_;
    bool kept_ = false;
};

void choose_surroundings(machine::Specification& machine, const Instance& instance) {
    machine.agent = kAgentSocket;  // relative to the runtime directory, where the machine is started
    machine.control = kControlSocket;
    machine.name = instance.row.name;
}

// A switch that the machine starts would be in its cgroup, and work within its limits.
Result<> start_switches(const machine::Specification& machine) {
    for (const machine::NetChoice& net : machine.networks) {
        if (net.kind != machine::NetKind::kSwitch) continue;
        DOPPEL_TRY(const network::lan::Folder folder, network::lan::Folder::of_user());
        DOPPEL_CHECK(folder.reach(net.name));
    }
    return {};
}

}  // namespace

Result<UniqueFd> start(const Store& store, const Instance& instance, machine::Specification machine,
                       const Programs& programs, int attach) {
    const StateFolder& folder = store.folder();
    const std::filesystem::path directory = folder.directory_of(instance.row.id);
    DOPPEL_TRY(const UniqueFd lock, take_runs_lock(instance, directory));
    DOPPEL_CHECK(folder.make_for(instance.row.id));
    choose_surroundings(machine, instance);
    DOPPEL_CHECK(machine::validate(machine));
    DOPPEL_CHECK(start_switches(machine));
    DOPPEL_CHECK(prepare_limits(directory, machine));
    GroupsUntilStarted groups(directory);
    DOPPEL_TRY(const UniqueFd specification, machine::to_memfd(machine));
    DOPPEL_TRY(Pipe report, make_pipe());
    Spawn spawn;
    std::vector<std::string> words{"--id",
                                   instance.row.id,
                                   "--name",
                                   instance.row.name,
                                   "--machine",
                                   programs.machine,
                                   "--directory",
                                   directory,
                                   "--runtime",
                                   folder.runtime_of(instance.row.id),
                                   "--events",
                                   folder.events(),
                                   "--restart",
                                   std::string(name_of(instance.document.restart)),
                                   "--specification",
                                   spawn.keep(specification.get()),
                                   "--lock",
                                   spawn.keep(lock.get()),
                                   "--report",
                                   spawn.keep(report.writes.get())};
    if (attach >= 0) words.insert(words.end(), {"--attach", spawn.keep(attach)});
    if (instance.document.remove) words.insert(words.end(), {"--at-end", programs.instance});
    DOPPEL_TRY(const pid_t keeper, spawn.run(programs.keeper, words));
    report.writes.reset();
    Result<> started = wait_for_report(report.reads.get(), instance, directory);
    if (!started) {
        int status = 0;
        waitpid(keeper, &status, 0);  // so that nothing of it is left when this is told
        return fail(started.error());
    }
    groups.keep();
    return std::move(report.reads);
}

std::optional<int> wait_for_code(UniqueFd report) {
    const std::string text = read_to_end(report.get());
    constexpr std::string_view kWord = "ended ";
    const size_t at = text.find(kWord);
    if (at == text.npos) return std::nullopt;
    return std::atoi(text.c_str() + at + kWord.size());
}

}  // namespace doppel::instance
