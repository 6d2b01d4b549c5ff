// What goes over a switch's socket, which keeps messages (SOCK_SEQPACKET): a request, one object of JSON, and its
// answer, an object too, with a descriptor where there is one to give. Then:
// - a member's socket carries single bytes, each way: there is something in your ring, or room in it. A member leaves
// by
//   closing it;
// - a capture's socket carries the blocks of a pcapng file, one a message.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "network/lan/port_options.h"

namespace doppel::network::lan {

using Json = nlohmann::json;

inline constexpr size_t kMaxRequest = 16 << 10, kMaxAnswer = 192 << 10;  // bytes

struct JoinRequest {
    PortOptions options;
    MacAddress mac{};
    std::vector<std::string> forwards;  // network/forward.h
};
Json to_json(const JoinRequest& request);
Result<JoinRequest> join_from(const Json& json);

// {"error": [failed, subject, why, cure]}.
Json to_json(const Error& error);
// What another process said is one: nothing, or the error in it.
Result<> check_answer(const Json& answer);

struct Message {
    Json json;  // discarded: it is none
    UniqueFd descriptor;
};
// False with errno set. Does not wait.
bool send_message(int socket, const Json& json, int descriptor = -1);
// nullopt: the other end is gone, or nothing is there (EAGAIN).
std::optional<Message> receive_message(int socket, size_t limit);

// Wakes the other end of a member's socket. What does not fit is not needed: a wake-up is on its way.
void wake(int socket);
// Takes all wake-ups that have come; false when the other end is gone.
bool take_wakes(int socket);

}  // namespace doppel::network::lan
