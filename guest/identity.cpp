// What a copy of a guest must not share with the original.
#include <dirent.h>
#include <linux/random.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "guest/system_call.h"
#include "guest/worker.h"

namespace doppel::guest {

namespace {

constexpr size_t kMaxEntropy = 512, kMaxHostname = 64, kMachineIdDigits = 32;

bool is_hostname(const std::string& name) {
    return name.size() <= kMaxHostname && std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '.';
           });
}

bool is_machine_id(const std::string& id) {
    return id.size() == kMachineIdDigits && id.find_first_not_of("0123456789abcdef") == id.npos;
}

bool is_folder(const char* path) {
    struct stat status {};
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

// random(4). The kernel's generator takes it into account at once and not minutes later.
bool add_entropy(const agent::Bytes& entropy) {
    std::vector<uint8_t> raw(sizeof(rand_pool_info) + entropy.size());
    rand_pool_info head{};
    head.entropy_count = static_cast<int>(entropy.size() * 8);
    head.buf_size = static_cast<int>(entropy.size());
    std::memcpy(raw.data(), &head, sizeof head);
    std::copy(entropy.begin(), entropy.end(), raw.begin() + sizeof head);
    UniqueFd fd(open("/dev/random", O_RDWR | O_CLOEXEC));
    if (!fd || ioctl(fd.get(), RNDADDENTROPY, raw.data()) != 0) return false;
    ioctl(fd.get(), RNDRESEEDCRNG);  // kernels before 4.14 have none
    return true;
}

bool set_machine_id(const std::string& id) {
    if (!replace_file("/etc/machine-id", id + "\n", 0444)) return false;
    const char* second = "/var/lib/dbus/machine-id";  // usually a link to the first
    struct stat status {};
    return lstat(second, &status) != 0 || !S_ISREG(status.st_mode) || replace_file(second, id + "\n", 0444);
}

void hang_up(const char* pid_file) {
    const long pid = std::strtol(read_text(pid_file, 32).c_str(), nullptr, 10);
    if (pid > 1) kill(static_cast<pid_t>(pid), SIGHUP);
}

// New keys first, in a folder of their own, then each over its old one.
agent::Outcome renew_ssh_host_keys() {
    if (!is_folder("/etc/ssh")) return {};
    char folder[] = "/etc/ssh/.doppel-keys-XXXXXX";
    if (mkdtemp(folder) == nullptr) return failure("make a folder in /etc/ssh");
    const std::string etc = std::string(folder) + "/etc", made = etc + "/ssh";
    agent::Outcome outcome;
    if (mkdir(etc.c_str(), 0700) != 0 || mkdir(made.c_str(), 0700) != 0) {
        outcome = failure("make a folder in /etc/ssh");
    } else if (run({"ssh-keygen", "-A", "-f", folder}) != 0) {
        outcome = failure("make SSH host keys with ssh-keygen", 0);
    }
    if (DIR* list = opendir(made.c_str()); list != nullptr) {
        while (const dirent* entry = readdir(list)) {
            const std::string name = entry->d_name;
            if (!name.starts_with("ssh_host_")) continue;
            const std::string from = made + "/" + name;
            const bool kept = outcome.status == agent::Status::kDone;
            if (kept && rename(from.c_str(), ("/etc/ssh/" + name).c_str()) != 0) outcome = failure("replace " + name);
            unlink(from.c_str());
        }
        closedir(list);
    }
    rmdir(made.c_str());
    rmdir(etc.c_str());
    rmdir(folder);
    if (outcome.status == agent::Status::kDone) hang_up("/run/sshd.pid");  // it reads its keys again
    return outcome;
}

}  // namespace

agent::Outcome renew_identity(const agent::IdentityRequest& request) {
    // What is wrong is said before anything is changed.
    if (!is_hostname(request.hostname)) return refusal("this is no host name");
    if (!request.machine_id.empty() && !is_machine_id(request.machine_id)) return refusal("this is no machine id");
    if (request.entropy.size() > kMaxEntropy) return refusal("this is too much entropy");
    if (!request.entropy.empty() && !add_entropy(request.entropy)) return failure("add entropy");
    if (!request.hostname.empty()) {
        if (sethostname(request.hostname.data(), request.hostname.size()) != 0) return failure("set the host name");
        if (is_folder("/etc") && !replace_file("/etc/hostname", request.hostname + "\n", 0644)) {
            return failure("write /etc/hostname");
        }
    }
    if (!request.machine_id.empty() && !set_machine_id(request.machine_id)) return failure("write the machine id");
    return request.ssh_host_keys ? renew_ssh_host_keys() : agent::Outcome();
}

}  // namespace doppel::guest
