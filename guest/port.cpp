#include "guest/port.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "guest/system_call.h"

namespace doppel::guest {

namespace {

// "/dev/vport2p1"; empty if there is none of that name.
std::string find_device(const std::string& name) {
    const std::string folder = "/sys/class/virtio-ports";
    DIR* list = opendir(folder.c_str());
    if (list == nullptr) return {};
    std::string found;
    while (const dirent* entry = readdir(list)) {
        if (entry->d_name[0] == '.') continue;
        const std::string text = read_text((folder + "/" + entry->d_name + "/name").c_str(), 256);
        if (text == name + "\n") found = std::string("/dev/") + entry->d_name;
    }
    closedir(list);
    return found;
}

UniqueFd connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd && connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
    if (fd) fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    return fd;
}

}  // namespace

UniqueFd open_port(const std::string& where) {
    const std::string path = where.starts_with("/") ? where : find_device(where);
    errno = ENOENT;
    if (path.empty()) return {};
    struct stat status {};
    if (stat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) return connect_to(path);
    return UniqueFd(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

}  // namespace doppel::guest
