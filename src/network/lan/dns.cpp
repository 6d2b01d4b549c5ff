#include "network/lan/dns.h"

#include "base/byte_order.h"

namespace doppel::network::lan::dns {

namespace {

constexpr size_t kHeadBytes = 12, kMaxLabel = 63, kMaxName = 253;
constexpr uint16_t kInternet = 1;
constexpr uint16_t kResponse = 0x8000, kAuthoritative = 0x0400, kWantsRecursion = 0x0100, kRecursion = 0x0080;
constexpr uint16_t kNameAbove = 0xc000 | kHeadBytes;  // RFC 1035, 4.1.4: the question's
constexpr uint32_t kSeconds = 5;                      // that an answer may be kept

char lower(uint8_t byte) {
    if (byte >= 'A' && byte <= 'Z') return static_cast<char>(byte - 'A' + 'a');
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
    return plain ? static_cast<char>(byte) : '?';
}

}  // namespace

std::optional<Question> question_from(std::span<const uint8_t> message) {
    if (message.size() < kHeadBytes) return std::nullopt;
    // A standard query, of one question.
    if ((message[2] & 0xf8) != 0 || load_be<uint16_t>(&message[4]) != 1) return std::nullopt;
    Question question;
    size_t at = kHeadBytes;
    while (true) {
        if (at >= message.size()) return std::nullopt;
        const size_t length = message[at++];
        if (length == 0) break;
        if (length > kMaxLabel || length > message.size() - at) return std::nullopt;
        if (!question.name.empty()) question.name += '.';
        for (size_t i = 0; i < length; i++) question.name += lower(message[at + i]);
        if (question.name.size() > kMaxName) return std::nullopt;
        at += length;
    }
    constexpr size_t kTail = 4;
    if (message.size() - at < kTail || load_be<uint16_t>(&message[at + 2]) != kInternet) return std::nullopt;
    question.type = load_be<uint16_t>(&message[at]);
    question.message = message;
    question.end = at + kTail;
    return question;
}

Bytes make_answer(const Question& question, Code code, const std::vector<Answer>& answers) {
    const uint16_t asked = load_be<uint16_t>(&question.message[2]);
    Bytes bytes(question.message.begin(), question.message.begin() + 2);
    const auto flags = static_cast<uint16_t>(kResponse | kAuthoritative | kRecursion | (asked & kWantsRecursion) |
                                             static_cast<uint16_t>(code));
    append_be(bytes, flags);
    append_be<uint16_t>(bytes, 1);
    append_be(bytes, static_cast<uint16_t>(answers.size()));
    append_be<uint32_t>(bytes, 0);
    append(bytes, question.message.subspan(kHeadBytes, question.end - kHeadBytes));
    for (const Answer& answer : answers) {
        append_be(bytes, kNameAbove);
        append_be(bytes, answer.type);
        append_be(bytes, kInternet);
        append_be(bytes, kSeconds);
        append_be(bytes, static_cast<uint16_t>(answer.data.size()));
        append(bytes, answer.data);
    }
    return bytes;
}

Bytes encoded(std::string_view name) {
    Bytes bytes;
    while (!name.empty()) {
        const std::string_view label = name.substr(0, name.find('.'));
        bytes.push_back(static_cast<uint8_t>(label.size()));
        append(bytes, {reinterpret_cast<const uint8_t*>(label.data()), label.size()});
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    bytes.push_back(0);
    return bytes;
}

}  // namespace doppel::network::lan::dns
