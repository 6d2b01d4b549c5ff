// Files in and out.
#include <sys/stat.h>

#include <climits>
#include <cstdlib>

#include "guest/system_call.h"
#include "guest/worker.h"

namespace doppel::guest {

namespace {

constexpr size_t kPiece = 64 << 10;

bool usable(const std::string& path) {
    return !path.empty() && path.find('\0') == path.npos;
}

// The file that a link leads to is what is replaced, not the link.
std::string resolve(const std::string& path) {
    char whole[PATH_MAX];
    struct stat status {};
    if (lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode) && realpath(path.c_str(), whole) != nullptr) {
        return whole;
    }
    return path;
}

std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

timespec from_nanoseconds(int64_t time) {
    constexpr int64_t kSecond = 1'000'000'000;
    int64_t seconds = time / kSecond, rest = time % kSecond;
    if (rest < 0) {
        seconds--;
        rest += kSecond;
    }
    timespec result{};
    result.tv_sec = seconds;
    result.tv_nsec = static_cast<long>(rest);
    return result;
}

// False with errno. `reading` says whose it is.
bool copy(int from, int to, bool& reading) {
    static uint8_t piece[kPiece];
    while (true) {
        reading = true;
        const ssize_t got = read(from, piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        reading = false;
        if (!write_all(to, std::span<const uint8_t>(piece, static_cast<size_t>(got)))) return false;
    }
}

bool set_attributes(int fd, const agent::PutRequest& request) {
    // The owner first: changing it takes set-user-id bits away.
    if ((request.owner || request.group) &&
        fchown(fd, request.owner.value_or(static_cast<uid_t>(-1)), request.group.value_or(static_cast<gid_t>(-1))) != 0)
        return false;
    if (fchmod(fd, request.mode & 07777) != 0) return false;
    if (!request.mtime) return true;
    timespec times[2] = {{}, from_nanoseconds(*request.mtime)};
    times[0].tv_nsec = UTIME_NOW;
    return futimens(fd, times) == 0;
}

}  // namespace

agent::Outcome put_file(const agent::PutRequest& request, const Report& report) {
    if (!usable(request.path)) return refusal("the path is none");
    const std::string path = resolve(request.path);
    struct stat status {};
    if (path.back() == '/' || (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))) {
        return failure("write " + path, EISDIR);
    }
    const std::string folder = folder_of(path);
    const std::string beside = folder + "/.doppel-put-" + std::to_string(getpid());
    UniqueFd file(open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return failure("make a file in " + folder);
    agent::Outcome outcome;
    bool reading = false;
    if (!copy(STDIN_FILENO, file.get(), reading)) {
        outcome = failure((reading ? "receive " : "write ") + path);
    } else if (!report.input_is_whole()) {
        outcome = failure("receive " + path, ECANCELED);
    } else if (!set_attributes(file.get(), request)) {
        outcome = failure("set owner, mode or time of " + path);
    } else if (fsync(file.get()) != 0 || rename(beside.c_str(), path.c_str()) != 0) {
        outcome = failure("write " + path);
    }
    if (outcome.status != agent::Status::kDone) {
        unlink(beside.c_str());
        return outcome;
    }
    UniqueFd directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory) fsync(directory.get());
    return outcome;
}

agent::Outcome get_file(const agent::GetRequest& request, const Report& report) {
    if (!usable(request.path)) return refusal("the path is none");
    // Not waiting for a FIFO's writer.
    UniqueFd file(open(request.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    struct stat status {};
    if (!file || fstat(file.get(), &status) != 0) return failure("read " + request.path);
    if (!S_ISREG(status.st_mode)) return failure("read " + request.path, S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
    constexpr int64_t kSecond = 1'000'000'000;
    report.info(
        agent::encode(agent::FileInfo{status.st_mode & 07777, status.st_mtim.tv_sec * kSecond + status.st_mtim.tv_nsec,
                                      status.st_uid, status.st_gid, static_cast<uint64_t>(status.st_size)}));
    bool reading = false;
    if (!copy(file.get(), STDOUT_FILENO, reading)) {
        return failure(reading ? "read " + request.path : "send " + request.path);
    }
    return {};
}

}  // namespace doppel::guest
