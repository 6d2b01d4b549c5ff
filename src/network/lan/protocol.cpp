#include "network/lan/protocol.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "network/forward.h"

namespace doppel::network::lan {

namespace {

constexpr size_t kMaxForwards = 64;

Error no_request(const char* why) {
    return {"join the network", "", why, "install doppel whole: its executables belong together"};
}

std::string string_of(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Json to_json(const JoinRequest& request) {
    return {{"do", "join"},
            {"port", text_of(request.options)},
            {"mac", text_of(request.mac)},
            {"publish", request.forwards}};
}

Result<JoinRequest> join_from(const Json& json) {
    JoinRequest request;
    DOPPEL_TRY(request.options, port_options_from(string_of(json, "port")));
    const auto mac = mac_from(string_of(json, "mac"));
    if (!mac || is_group(*mac) || *mac == MacAddress{}) return fail(no_request("the card's address is none"));
    request.mac = *mac;
    const auto forwards = json.find("publish");
    if (forwards == json.end()) return request;
    if (!forwards->is_array() || forwards->size() > kMaxForwards) return fail(no_request("its ports are no list"));
    for (const Json& one : *forwards) {
        if (!one.is_string() || !forward_from(one.get<std::string>())) return fail(no_request("a port is none"));
        request.forwards.push_back(one.get<std::string>());
    }
    return request;
}

Json to_json(const Error& error) {
    return {{"error", {error.failed, error.subject, error.why, error.cure}}};
}

Result<> check_answer(const Json& answer) {
    if (!answer.is_object()) return fail(Error{"ask the switch", "", "it gave no answer", "end it: doppel network rm"});
    const auto error = answer.find("error");
    if (error == answer.end()) return {};
    std::array<std::string, 4> parts;
    for (size_t i = 0; i < parts.size() && error->is_array() && i < error->size(); i++)
        if ((*error)[i].is_string()) parts[i] = (*error)[i].get<std::string>();
    return fail(Error{parts[0], parts[1], parts[2], parts[3]});
}

bool send_message(int socket, const Json& json, int descriptor) {
    std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    if (descriptor >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(head), &descriptor, sizeof(int));
    }
    ssize_t sent = 0;
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

std::optional<Message> receive_message(int socket, size_t limit) {
    std::string text(limit, '\0');
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    do {
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got == 0) errno = 0;  // of an end, not of a wait
    if (got <= 0) return std::nullopt;
    Message received;
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
            continue;
        int descriptor = -1;
        std::memcpy(&descriptor, CMSG_DATA(head), sizeof(int));
        received.descriptor.reset(descriptor);
    }
    text.resize(static_cast<size_t>(got));
    received.json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    return received;
}

void wake(int socket) {
    iovec part{const_cast<char*>("w"), 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    (void)!sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool take_wakes(int socket) {
    constexpr int kMost = 64;  // a flood of them must not keep anybody here
    std::array<char, 16> bytes{};
    for (int i = 0; i < kMost; i++) {
        const ssize_t got = recv(socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (got == 0) return false;
        if (got < 0 && errno != EINTR) return errno == EAGAIN;
    }
    return true;
}

}  // namespace doppel::network::lan
