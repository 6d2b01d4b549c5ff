#include "network/lan/folder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "base/user_folders.h"
#include "network/link/process.h"

namespace doppel::network::lan {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPurpose = "reach the network";
constexpr const char* kDefinitionEnding = ".json";
constexpr uint64_t kMaxDefinition = 64 << 10;
constexpr int kPatience = 30'000;  // milliseconds, on a very busy host

// However long the folder's path is: the kernel follows the descriptor.
fs::path through(const UniqueFd& folder, const std::string& name) {
    return fs::path("/proc/self/fd") / std::to_string(folder.get()) / (name + kSocketEnding);
}

Result<UniqueFd> open_folder(const fs::path& path) {
    UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return fail(Error::system(kPurpose, path, errno));
    return folder;
}

// `error`: why there is none.
UniqueFd connect_to(const UniqueFd& folder, const std::string& name, int& error) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const sockaddr_un address = unix_socket_address(through(folder, name));
    error = 0;
    if (socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return socket;
    error = errno;
    return {};
}

Result<> start(const UniqueFd& folder, const NetworkOptions& options) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail(Error::system(kPurpose, "socketpair", errno));
    const UniqueFd ours(ends[0]);
    UniqueFd its(ends[1]);
    const std::array descriptors{folder.get(), its.get()};
    DOPPEL_TRY(const pid_t child, link::start_beside(kSwitchProgram, descriptors, {to_json(options)}));
    its.reset();
    const auto heard = link::hear_ready(ours.get(), kSwitchProgram);
    // What was started leaves the work to a child of its own.
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return heard;
}

}  // namespace

Result<Folder> Folder::of_user() {
    DOPPEL_TRY(const UserFolders folders, user_folders());
    Folder made(folders.runtime / "networks", folders.state / "networks");
    for (const fs::path& path : {folders.state, folders.runtime, made.sockets_, made.definitions_})
        DOPPEL_CHECK(make_private_folder(path));
    return made;
}

fs::path Folder::definition_path(const std::string& name) const {
    return definitions_ / (name + kDefinitionEnding);
}

bool Folder::is_defined(const std::string& name) const {
    std::error_code ignored;
    return fs::exists(definition_path(name), ignored);
}

Result<NetworkOptions> Folder::definition(const std::string& name) const {
    if (!is_defined(name)) return default_network(name);
    const fs::path path = definition_path(name);
    DOPPEL_TRY(const auto text, read_file(path, kMaxDefinition, "read the network's definition"));
    auto options = network_from_json({reinterpret_cast<const char*>(text.data()), text.size()});
    if (options && options->name == name) return options;
    if (options) return fail(Error{"read the network's definition", path, "it is another network's", "remove it"});
    Error error = options.error();
    error.subject = path;
    return fail(std::move(error));
}

Result<> Folder::define(const NetworkOptions& options) const {
    constexpr unsigned kMode = 0600;
    return write_file_atomically(definition_path(options.name), to_json(options), kMode);
}

Result<> Folder::forget(const std::string& name) const {
    std::error_code error;
    fs::remove(definition_path(name), error);
    if (error) return fail(Error::system("remove the network", definition_path(name), error.value()));
    return {};
}

std::vector<std::string> Folder::names() const {
    std::set<std::string> names;
    std::error_code ignored;
    for (const auto& [folder, ending] :
         {std::pair{sockets_, kSocketEnding}, std::pair{definitions_, kDefinitionEnding}}) {
        for (const auto& entry : fs::directory_iterator(folder, ignored)) {
            if (entry.path().extension() != ending) continue;
            if (const std::string name = entry.path().stem(); is_label(name)) names.insert(name);
        }
    }
    return {names.begin(), names.end()};
}

Result<std::optional<UniqueFd>> Folder::connect(const std::string& name) const {
    DOPPEL_TRY(const UniqueFd folder, open_folder(sockets_));
    int error = 0;
    if (UniqueFd socket = connect_to(folder, name, error)) return std::optional(std::move(socket));
    if (error == ENOENT || error == ECONNREFUSED) return std::optional<UniqueFd>();
    return fail(Error::system(kPurpose, name, error));
}

Result<UniqueFd> Folder::reach(const std::string& name) const {
    DOPPEL_TRY(const UniqueFd folder, open_folder(sockets_));
    // Held while a switch starts or ends (server.cpp): there are never two of one name.
    while (flock(folder.get(), LOCK_EX) != 0)
        if (errno != EINTR) return fail(Error::system(kPurpose, sockets_, errno));
    int error = 0;
    if (UniqueFd socket = connect_to(folder, name, error)) return socket;
    if (error != ENOENT && error != ECONNREFUSED) return fail(Error::system(kPurpose, name, error));
    if (error == ECONNREFUSED)
        log_warning(
            "network {}: its switch was killed; a new one is started, and machines that were plugged into "
            "the old one must be started again",
            name);
    DOPPEL_TRY(const NetworkOptions options, definition(name));
    DOPPEL_CHECK(start(folder, options));
    if (UniqueFd socket = connect_to(folder, name, error)) return socket;
    return fail(Error::system(kPurpose, name, error));
}

Result<Message> ask(int socket, const Json& request) {
    if (!send_message(socket, request)) return fail(Error::system("ask the switch", "", errno));
    pollfd wait{socket, POLLIN, 0};
    while (poll(&wait, 1, kPatience) < 0 && errno == EINTR) {
    }
    std::optional<Message> answer;
    if ((wait.revents & POLLIN) != 0) answer = receive_message(socket, kMaxAnswer);
    if (!answer) return fail(Error{"ask the switch", "", "it gave no answer", "end it: doppel network rm"});
    DOPPEL_CHECK(check_answer(answer->json));
    return std::move(*answer);
}

}  // namespace doppel::network::lan
