#include "disk/target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstring>

#include "base/entropy.h"
#include "base/unique_fd.h"
#include "storage/file_lock.h"

namespace doppel::disk {

namespace {

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};
char unfinished[PATH_MAX];  // what the handler removes

void remove_unfinished(int number) {
    if (unfinished[0] != '\0') ::unlink(unfinished);
    ::signal(number, SIG_DFL);
    ::raise(number);
}

void watch(const std::string& path) {
    sigset_t blocked, before;
    ::sigemptyset(&blocked);
    for (const int number : kSignals) ::sigaddset(&blocked, number);
    ::sigprocmask(SIG_BLOCK, &blocked, &before);
    std::strncpy(unfinished, path.c_str(), sizeof unfinished - 1);
    for (const int number : kSignals) {
        struct sigaction present {};
        ::sigaction(number, nullptr, &present);
        if (present.sa_handler == SIG_IGN) continue;  // nohup
        ::signal(number, path.empty() ? SIG_DFL : remove_unfinished);
    }
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

// A disk that is there must be nobody's while it is replaced.
Result<> check_unused(const std::filesystem::path& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return fail(Error::system("replace disk", path.string(), errno));
    return storage::lock_file(file.get(), path, storage::Access::kWrite);
}

}  // namespace

Target::Target(std::filesystem::path destination, std::filesystem::path path)
    : destination_(std::move(destination)), path_(std::move(path)), pending_(!in_place()) {
    if (pending_) watch(path_);
}

Target::Target(Target&& other) noexcept
    : destination_(std::move(other.destination_)),
      path_(std::move(other.path_)),
      pending_(std::exchange(other.pending_, false)) {}

Target::~Target() {
    if (!pending_) return;
    ::unlink(path_.c_str());
    watch("");
}

Result<Target> Target::prepare(const std::filesystem::path& destination) {
    struct stat status {};
    if (::stat(destination.c_str(), &status) == 0) {
        if (S_ISBLK(status.st_mode)) return Target(destination, destination);
        if (!S_ISREG(status.st_mode))
            return fail(
                Error{"make disk", destination.string(), "there is something else of that name", "choose another"});
        DOPPEL_CHECK(check_unused(destination));
    }
    // A link stays one: what it points to is replaced.
    std::error_code error;
    std::filesystem::path real = std::filesystem::weakly_canonical(destination, error);
    if (error) real = destination;
    std::array<uint8_t, 8> random{};
    if (!host_entropy(random)) return fail(Error{"make disk", destination.string(), "there is no entropy", ""});
    uint64_t number = 0;
    std::memcpy(&number, random.data(), sizeof number);
    return Target(real, real.parent_path() / fmt::format(".doppel-{:016x}.tmp", number));
}

Result<> Target::commit() {
    if (!pending_) return {};
    if (::rename(path_.c_str(), destination_.c_str()) != 0)
        return fail(Error::system("make disk", destination_.string(), errno));
    pending_ = false;
    watch("");
    const UniqueFd folder(::open(destination_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) ::fsync(folder.get());
    return {};
}

}  // namespace doppel::disk
