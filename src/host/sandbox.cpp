#include "host/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/file.h"
#include "base/unique_fd.h"

namespace doppel::host {
namespace {

bool write_text(const char* path, const std::string& text) {
    UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC));
    return fd && write_all(fd.get(), {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

// user_namespaces(7): id inside, id outside, how many.
std::string own_id_as_root(unsigned id) {
    std::string line = "0 ";
    return line.append(std::to_string(id)).append(" 1");
}

std::optional<uint64_t> leading_number(std::string_view text) {
    const size_t start = text.find_first_not_of(" \t");
    if (start == text.npos) return std::nullopt;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + start, text.data() + text.size(), value);
    if (error != std::errc{}) return std::nullopt;
    return value;
}

}  // namespace

Finding ok(std::string fact) {
    return {"", Status::kOk, std::move(fact), ""};
}

Finding degraded(std::string fact, std::string lost) {
    return {"", Status::kDegraded, std::move(fact), std::move(lost)};
}

Finding missing(std::string fact, std::string lost) {
    return {"", Status::kMissing, std::move(fact), std::move(lost)};
}

std::string failure(std::string_view what, int error_number) {
    std::array<char, 128> buffer{};
    return std::string(what) + ": " + strerror_r(error_number, buffer.data(), buffer.size());
}

std::optional<std::string> whole_text(const std::string& path) {
    constexpr size_t kLimit = 1 << 20;  // files of /proc have no size to go by
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return std::nullopt;
    std::string text;
    std::array<char, 4096> part;
    while (text.size() < kLimit) {
        const ssize_t got = read(fd.get(), part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) break;
        text.append(part.data(), static_cast<size_t>(got));
    }
    return text;
}

std::optional<std::string> first_line(const std::string& path) {
    auto text = whole_text(path);
    if (text) text->resize(std::min(text->find('\n'), text->size()));
    return text;
}

std::optional<uint64_t> number_in(const std::string& path) {
    const auto text = first_line(path);
    return text ? leading_number(*text) : std::nullopt;
}

std::optional<uint64_t> number_after(const std::string& path, std::string_view key) {
    const auto text = whole_text(path);
    if (!text) return std::nullopt;
    for (std::string_view rest = *text; !rest.empty();) {
        if (rest.starts_with(key)) return leading_number(rest.substr(key.size()));
        rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
    }
    return std::nullopt;
}

bool enter_user_namespace() {
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER) != 0) return false;
    // gid_map can be written without privilege only after setgroups is given up (user_namespaces(7)).
    return write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", own_id_as_root(uid)) &&
           write_text("/proc/self/gid_map", own_id_as_root(gid));
}

bool enter_namespaces(int flags) {
    if (unshare(flags) == 0) return true;
    return errno == EPERM && enter_user_namespace() && unshare(flags) == 0;
}

bool enter_scratch_tmp() {
    return enter_namespaces(CLONE_NEWNS) && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m") == 0;
}

}  // namespace doppel::host
