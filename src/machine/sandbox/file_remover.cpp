#include "machine/sandbox/file_remover.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace doppel::machine::sandbox {
namespace {

// One message a file; one without a path seals; the first after that, or the end of all, says: remove.
struct Order {
    uint64_t device = 0;
    uint64_t inode = 0;
    std::array<char, PATH_MAX> path{};
};
constexpr size_t kHead = offsetof(Order, path);
constexpr size_t kMaxOrders = 8;

void remove_file(const Order& order) {
    struct stat now {};
    if (lstat(order.path.data(), &now) != 0 || now.st_dev != order.device || now.st_ino != order.inode) return;
    if (!S_ISDIR(now.st_mode)) {
        unlink(order.path.data());
        return;
    }
    std::error_code ignored;
    std::filesystem::remove_all(order.path.data(), ignored);  // follows no link
}

// The other process: signals and descriptors of the machine are none of its business, and it makes no memory.
[[noreturn]] void wait_and_remove(int link) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    setsid();
    prctl(PR_SET_NAME, "doppel-remover");
    if (dup2(link, STDIN_FILENO) < 0 || close_range(1, ~0U, 0) != 0 || chdir("/") != 0) _exit(1);
    static std::array<Order, kMaxOrders> orders;
    size_t count = 0;
    bool sealed = false;
    while (true) {
        Order order;
        const ssize_t got = read(STDIN_FILENO, &order, sizeof order - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || sealed) break;
        if (static_cast<size_t>(got) <= kHead) {
            sealed = true;
        } else if (count < orders.size()) {
            orders[count++] = order;
        }
    }
    for (size_t i = 0; i < count; i++) remove_file(orders[i]);
    _exit(0);
}

}  // namespace

Result<std::unique_ptr<FileRemover>> FileRemover::start() {
    std::array<int, 2> ends{};
    const auto failed = [] { return fail(Error::system("prepare the machine's end", "file remover", errno)); };
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return failed();
    UniqueFd ours(ends[0]);
    const UniqueFd its(ends[1]);
    const pid_t child = fork();
    if (child < 0) return failed();
    if (child == 0) wait_and_remove(its.get());
    return std::unique_ptr<FileRemover>(new FileRemover(std::move(ours)));
}

FileRemover::~FileRemover() {
    finish();
}

Result<> FileRemover::add(const std::filesystem::path& path) {
    std::error_code error;
    const std::string whole = std::filesystem::absolute(path, error).string();
    struct stat status {};
    if (error || lstat(whole.c_str(), &status) != 0) {
        return fail(Error::system("prepare the machine's end", path.string(), error ? error.value() : errno));
    }
    Order order{status.st_dev, status.st_ino};
    if (whole.size() >= order.path.size()) {
        return fail(Error::system("prepare the machine's end", path.string(), ENAMETOOLONG));
    }
    std::memcpy(order.path.data(), whole.data(), whole.size());
    if (send(link_.get(), &order, kHead + whole.size(), MSG_NOSIGNAL) < 0) {
        return fail(Error::system("prepare the machine's end", path.string(), errno));
    }
    return {};
}

void FileRemover::seal() {
    const Order none;
    // A remover that is gone is as good as sealed.
    [[maybe_unused]] const ssize_t sent = send(link_.get(), &none, kHead, MSG_NOSIGNAL);
    sealed_ = true;
}

void FileRemover::finish() {
    if (!link_) return;
    if (!sealed_) seal();
    [[maybe_unused]] const ssize_t sent = send(link_.get(), "", 1, MSG_NOSIGNAL);
    char end = 0;
    while (read(link_.get(), &end, 1) < 0 && errno == EINTR) {
    }
    link_.reset();
}

}  // namespace doppel::machine::sandbox
