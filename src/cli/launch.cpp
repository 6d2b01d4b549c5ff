#include "cli/launch.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/program.h"

namespace doppel::cli {
namespace {

std::vector<char*> argument_vector(const std::string& path, const std::vector<std::string>& words) {
    std::vector<char*> pointers{const_cast<char*>(path.c_str())};
    for (const auto& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

// Ctrl-C is the child's to answer while it runs.
class SignalsForChild {
  public:
    SignalsForChild() {
        struct sigaction ignore {};
        ignore.sa_handler = SIG_IGN;
        sigaction(SIGINT, &ignore, &interrupt_);
        sigaction(SIGQUIT, &ignore, &quit_);
    }
    ~SignalsForChild() {
        sigaction(SIGINT, &interrupt_, nullptr);
        sigaction(SIGQUIT, &quit_, nullptr);
    }
    // Those that the child must not inherit as ignored.
    sigset_t defaults() const {
        sigset_t set;
        sigemptyset(&set);
        if (interrupt_.sa_handler != SIG_IGN) sigaddset(&set, SIGINT);
        if (quit_.sa_handler != SIG_IGN) sigaddset(&set, SIGQUIT);
        return set;
    }

  private:
    struct sigaction interrupt_ {};
    struct sigaction quit_ {};
};

}  // namespace

Error become(const std::string& executable, const std::vector<std::string>& words) {
    const auto path = beside(executable);
    if (!path) return path.error();
    execv(path->c_str(), argument_vector(*path, words).data());
    return cannot_start(*path, errno);
}

Result<int> run_and_wait(const std::string& executable, const std::vector<std::string>& words) {
    DOPPEL_TRY(const std::string path, beside(executable));
    const SignalsForChild signals;
    const sigset_t defaults = signals.defaults();
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    pid_t child = -1;
    const int error =
        posix_spawn(&child, path.c_str(), &files, &attributes, argument_vector(path, words).data(), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) return fail(cannot_start(path, error));
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return fail(Error::system("wait for", path, errno));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace doppel::cli
