// Questions of DNS (RFC 1035) and their answers, of a network that knows its members.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "network/lan/packets.h"

namespace doppel::network::lan::dns {

inline constexpr uint16_t kPort = 53;

enum class Code : uint8_t { kDone = 0, kNoSuchName = 3, kRefused = 5 };
inline constexpr uint16_t kA = 1, kPtr = 12, kAaaa = 28, kAny = 255;

struct Question {
    std::string name;  // lower case, no dot at the end; bytes that are no letters, digits, '-' or '_' are '?'
    uint16_t type = 0;
    std::span<const uint8_t> message;  // the one that it stands in
    size_t end = 0;                    // where it ends in it
};
// Of a message with one question of the Internet's class; nullopt: it is no such thing.
std::optional<Question> question_from(std::span<const uint8_t> message);

struct Answer {
    uint16_t type;
    Bytes data;
};
Bytes make_answer(const Question& question, Code code, const std::vector<Answer>& answers);
// A name as answers hold it. Its labels are as long as is_label allows.
Bytes encoded(std::string_view name);

}  // namespace doppel::network::lan::dns
