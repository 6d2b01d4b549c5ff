// Files to and from the guest.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "agent/client/client.h"
#include "base/file.h"

namespace doppel::agent::client {

namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint32_t kPermissions = 0777;  // set-user-id does not travel to the host by itself

// Removed unless it got its name.
class NewFile {
  public:
    explicit NewFile(std::filesystem::path to)
        : to_(std::move(to)), beside_(to_.parent_path() / (".doppel-get-" + std::to_string(getpid()))) {
        fd_.reset(::open(beside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    }
    ~NewFile() {
        const int error = errno;
        if (fd_) unlink(beside_.c_str());
        errno = error;
    }
    int fd() const { return fd_.get(); }
    bool finish(const FileInfo& info) {
        const timespec times[2] = {{0, UTIME_NOW}, {info.mtime / kSecond, info.mtime % kSecond}};
        if (fchmod(fd_.get(), info.mode & kPermissions) != 0 || futimens(fd_.get(), times) != 0 ||
            fsync(fd_.get()) != 0 || rename(beside_.c_str(), to_.c_str()) != 0) {
            return false;
        }
        fd_.reset();
        return true;
    }

  private:
    std::filesystem::path to_, beside_;
    UniqueFd fd_;
};

}  // namespace

Result<> put_file(Client& client, const std::filesystem::path& from, PutRequest request) {
    DOPPEL_TRY(const UniqueFd file, open_regular_file(from, "copy"));
    struct stat status {};
    if (fstat(file.get(), &status) != 0) return fail(Error::system("copy", from, errno));
    request.mode = status.st_mode & kPermissions;
    request.mtime = status.st_mtim.tv_sec * kSecond + status.st_mtim.tv_nsec;
    DOPPEL_TRY(const Outcome outcome,
               client.run(Service::kPut, encode(request), {.input = file.get(), .control = {}, .info = {}}));
    if (outcome.status != Status::kDone) return fail(error_of(outcome, "copy"));
    return {};
}

Result<> get_file(Client& client, const std::string& from, const std::filesystem::path& to) {
    NewFile file(to);
    if (file.fd() < 0) return fail(Error::system("copy", to, errno));
    FileInfo info;
    const Streams streams{.output = file.fd(), .control = {}, .info = [&](const Bytes& raw) {
                              info = decode<FileInfo>(raw).value_or(FileInfo{});
                          }};
    DOPPEL_TRY(const Outcome outcome, client.run(Service::kGet, encode(GetRequest{from}), streams));
    if (outcome.status != Status::kDone) return fail(error_of(outcome, "copy"));
    if (!file.finish(info)) return fail(Error::system("copy", to, errno));
    return {};
}

}  // namespace doppel::agent::client
