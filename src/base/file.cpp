#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <stdexcept>

namespace doppel {

namespace {

Result<UniqueFd> open_with(const std::filesystem::path& path, int flags, std::string_view purpose) {
    UniqueFd file;
    do {
        file.reset(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY));
    } while (!file && errno == EINTR);
    if (!file) return fail(Error::system(std::string(purpose), path.string(), errno));
    return file;
}

// -1 with errno set on failure.
ssize_t read_some(int fd, std::span<uint8_t> to, uint64_t offset) {
    ssize_t got = 0;
    do {
        got = ::pread(fd, to.data(), to.size(), static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    return got;
}

// A file under a name that nobody uses, beside its destination; removed unless it was renamed there.
class TemporaryFile {
  public:
    explicit TemporaryFile(const std::filesystem::path& folder) : folder_(folder) {}
    ~TemporaryFile() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    // The steps return false with errno set on failure.
    bool create(unsigned mode) {
        constexpr int kAttempts = 100;
        for (int i = 0; i < kAttempts; i++) {
            uint64_t number = 0;
            if (::getrandom(&number, sizeof number, 0) != sizeof number) return false;
            std::filesystem::path candidate = folder_ / fmt::format(".doppel-{:016x}.tmp", number);
            file_.reset(::open(candidate.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
            if (file_) return path_ = std::move(candidate), true;
            if (errno != EEXIST && errno != EINTR) return false;
        }
        return false;
    }
    bool finish(std::span<const uint8_t> content) {
        // close() reports what some network file systems could not write.
        return write_all(file_.get(), content) && ::fsync(file_.get()) == 0 && ::close(file_.release()) == 0;
    }
    bool rename_to(const std::filesystem::path& path) {
        if (::rename(path_.c_str(), path.c_str()) != 0) return false;
        path_.clear();
        return true;
    }

  private:
    std::filesystem::path folder_;
    std::filesystem::path path_;
    UniqueFd file_;
};

bool sync_folder(const std::filesystem::path& folder) {
    UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // A folder that may be written but not read, or a file system without fsync of folders, is no failure of the write.
    if (!fd) return errno == EACCES;
    return ::fsync(fd.get()) == 0 || errno == EINVAL || errno == ENOTSUP;
}

Error too_large(std::string_view purpose, const std::filesystem::path& path, uint64_t limit) {
    return {std::string(purpose), path.string(), fmt::format("it is larger than {} bytes", limit),
            "check that it is the right file"};
}

}  // namespace

Result<UniqueFd> open_for_reading(const std::filesystem::path& path, std::string_view purpose) {
    return open_with(path, O_RDONLY, purpose);
}

Result<UniqueFd> open_regular_file(const std::filesystem::path& path, std::string_view purpose) {
    // Opening a FIFO would wait for its writer.
    DOPPEL_TRY(UniqueFd file, open_with(path, O_RDONLY | O_NONBLOCK, purpose));
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return fail(Error::system(std::string(purpose), path.string(), errno));
    if (!S_ISREG(status.st_mode)) {
        return fail(Error{std::string(purpose), path.string(), "it is not a regular file", "name a file"});
    }
    return file;
}

Result<std::vector<uint8_t>> read_whole(int fd, const std::filesystem::path& path, uint64_t limit,
                                        std::string_view purpose) {
    // The size is a hint only: the file may grow meanwhile, and files in /proc have none.
    const auto size = static_cast<uint64_t>(std::max<off_t>(::lseek(fd, 0, SEEK_END), 0));
    if (size > limit) return fail(too_large(purpose, path, limit));
    constexpr uint64_t kChunk = 65536;
    std::vector<uint8_t> content;
    size_t filled = 0;
    try {
        content.resize(size + 1);
        while (true) {
            if (filled == content.size()) content.resize(filled + kChunk);
            ssize_t got = read_some(fd, std::span(content).subspan(filled), filled);
            if (got < 0) return fail(Error::system(std::string(purpose), path.string(), errno));
            if (got == 0) break;
            filled += static_cast<size_t>(got);
            if (filled > limit) return fail(too_large(purpose, path, limit));
        }
        content.resize(filled);
    } catch (const std::bad_alloc&) {
        return fail(Error::system(std::string(purpose), path.string(), ENOMEM));
    } catch (const std::length_error&) {
        return fail(Error::system(std::string(purpose), path.string(), ENOMEM));
    }
    return content;
}

Result<std::vector<uint8_t>> read_file(const std::filesystem::path& path, uint64_t limit, std::string_view purpose) {
    DOPPEL_TRY(const UniqueFd file, open_regular_file(path, purpose));
    return read_whole(file.get(), path, limit, purpose);
}

Result<> write_file_atomically(const std::filesystem::path& path, std::span<const uint8_t> content, unsigned mode) {
    std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    TemporaryFile temporary(folder);
    if (!temporary.create(mode) || !temporary.finish(content) || !temporary.rename_to(path) || !sync_folder(folder)) {
        return fail(Error::system("write file", path.string(), errno));
    }
    return {};
}

Result<> write_file_atomically(const std::filesystem::path& path, std::string_view content, unsigned mode) {
    return write_file_atomically(path, std::span(reinterpret_cast<const uint8_t*>(content.data()), content.size()),
                                 mode);
}

bool write_all(int fd, std::span<const uint8_t> content) {
    while (!content.empty()) {
        ssize_t written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        content = content.subspan(static_cast<size_t>(written));
    }
    return true;
}

}  // namespace doppel
