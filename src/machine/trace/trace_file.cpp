#include "machine/trace/trace_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/log.h"
#include "base/sizes.h"

namespace doppel::machine::trace {

namespace {

constexpr std::string_view kStandardError = "-";
constexpr int kTick = 100;       // milliseconds between two looks at whether there is hurry
constexpr int kPatience = 3000;  // milliseconds for a reader in a hurry

// Non-blocking, so that a pipe without a reader is refused at once. Appending, so that traces into one file under two
// names do not overwrite each other. Standard error's flags are shared with other processes, and stay.
UniqueFd open_path(const std::string& path) {
    if (path == kStandardError) return UniqueFd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    return UniqueFd(::open(path.c_str(), kFlags, 0600));
}

}  // namespace

Result<std::unique_ptr<TraceFile>> TraceFile::open(const std::string& path, std::optional<uint64_t> limit) {
    UniqueFd file = open_path(path);
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0) {
        Error error = Error::system("open trace", path, errno);
        if (errno == ENXIO) error.cure = "if it is a pipe, start what reads it first";
        return fail(std::move(error));
    }
    const Kind kind{S_ISREG(status.st_mode), ::isatty(file.get()) == 1};
    const uint64_t bytes = limit.value_or(kind.regular ? kDefaultLimit : 0);
    return std::unique_ptr<TraceFile>(new TraceFile(path, std::move(file), kind, bytes));
}

Result<> TraceFile::begin() {
    if (path_ == kStandardError || !kind_.regular) return {};
    if (::ftruncate(file_.get(), 0) != 0) return fail(Error::system("empty trace", path_, errno));
    return {};
}

void TraceFile::write(std::string_view lines) {
    std::lock_guard guard(lock_);
    if (!file_) return;
    const bool fits = limit_ == 0 || lines.size() <= limit_ - written_;
    if (!fits) lines = lines.substr(0, lines.substr(0, limit_ - written_).rfind('\n') + 1);
    written_ += lines.size();
    if (!(kind_.terminal ? write_to_terminal(lines) : write_all(lines))) {
        const int error = errno;
        // Nobody would read the line either where it went the same way.
        if (error == EPIPE || (error == ETIMEDOUT && path_ == kStandardError)) return end({}, {});
        if (error == ETIMEDOUT) return end("nobody reads it", "the rest is lost");
        return end(Error::system("", "", error).why, "the rest is lost");
    }
    if (!fits)
        end("its limit of " + format_size(limit_) + " is reached, the machine goes on", "for more give ,limit=SIZE");
}

void TraceFile::end(std::string why, std::string cure) {
    file_.reset();
    ended_.store(true, std::memory_order_relaxed);
    if (why.empty()) return;
    const std::string subject = path_ == kStandardError ? "standard error" : path_;
    log_warning("{}", Error{"write trace", subject, std::move(why), std::move(cure)}.message());
}

bool TraceFile::write_all(std::string_view text) {
    while (!text.empty()) {
        if (!kind_.regular && !wait_for_reader()) {
            errno = ETIMEDOUT;
            return false;
        }
        // So much a pipe takes without blocking when it can be written to.
        const size_t some = kind_.regular ? text.size() : std::min<size_t>(text.size(), PIPE_BUF);
        const ssize_t put = ::write(file_.get(), text.data(), some);
        if (put < 0 && errno != EINTR && errno != EAGAIN) return false;
        if (put > 0) text.remove_prefix(static_cast<size_t>(put));
    }
    return true;
}

bool TraceFile::write_to_terminal(std::string_view lines) {
    while (!lines.empty()) {
        const size_t line = lines.find('\n') + 1;
        const std::string text = std::string(lines.substr(0, line - 1)) + "\r\n";
        if (!write_all(text)) return false;
        lines.remove_prefix(line);
    }
    return true;
}

bool TraceFile::wait_for_reader() {
    pollfd reader{file_.get(), POLLOUT, 0};
    for (int waited = 0; waited < kPatience;) {
        if (::poll(&reader, 1, kTick) != 0) return true;  // what else it may be, write() will tell
        if (hurry_.load(std::memory_order_relaxed)) waited += kTick;
    }
    return false;
}

}  // namespace doppel::machine::trace
