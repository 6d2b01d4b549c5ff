#include "machine/gdb/packet.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace doppel::machine::gdb {

namespace {

constexpr char kStart = '$', kEnd = '#', kEscape = '}', kRun = '*', kInterruptCharacter = 3;
constexpr char kEscapeFlip = 0x20;
constexpr char kDigits[] = "0123456789abcdef";

std::optional<unsigned> digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

uint8_t checksum(std::string_view raw) {
    uint8_t sum = 0;
    for (char c : raw) sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(c));
    return sum;
}

std::string unescape(std::string_view raw) {
    std::string plain;
    plain.reserve(raw.size());
    for (size_t i = 0; i < raw.size(); i++) {
        bool escaped = raw[i] == kEscape && i + 1 < raw.size();
        plain += escaped ? static_cast<char>(raw[++i] ^ kEscapeFlip) : raw[i];
    }
    return plain;
}

bool needs_escape(char c) {
    return c == kStart || c == kEnd || c == kEscape || c == kRun;
}

// How many repetitions behind the first character one run can stand for: its count is a printable character and neither
// of the two that would end or begin a packet.
size_t run_of(size_t repetitions) {
    constexpr size_t kShortest = 3, kLongest = 97, kHash = '#' - 29, kDollar = '$' - 29;
    if (repetitions < kShortest) return 0;
    repetitions = std::min(repetitions, kLongest);
    return repetitions == kHash || repetitions == kDollar ? kHash - 1 : repetitions;
}

}  // namespace

std::optional<Item> PacketReader::next(std::string_view& bytes) {
    while (!bytes.empty()) {
        char c = bytes.front();
        bytes.remove_prefix(1);
        if (auto item = take(c)) return item;
    }
    return std::nullopt;
}

std::optional<Item> PacketReader::take(char c) {
    if (c == kStart) {  // also in the middle of a packet whose end was lost
        state_ = State::kInside;
        raw_.clear();
        too_long_ = false;
        return std::nullopt;
    }
    switch (state_) {
        case State::kBetween:
            if (c == '+') return Item{Kind::kAck, {}};
            if (c == '-') return Item{Kind::kNak, {}};
            if (c == kInterruptCharacter) return Item{Kind::kInterrupt, {}};
            return std::nullopt;
        case State::kInside:
            if (c == kEnd) {
                state_ = State::kFirstDigit;
            } else if (raw_.size() == kMaxPacket) {
                too_long_ = true;
            } else {
                raw_ += c;
            }
            return std::nullopt;
        case State::kFirstDigit:
            first_digit_ = c;
            state_ = State::kSecondDigit;
            return std::nullopt;
        case State::kSecondDigit:
            return finish(c);
    }
    return std::nullopt;
}

Item PacketReader::finish(char second_digit) {
    state_ = State::kBetween;
    auto high = digit(first_digit_), low = digit(second_digit);
    if (too_long_ || !high || !low || (*high << 4 | *low) != checksum(raw_)) return {Kind::kDamaged, {}};
    return {Kind::kPacket, unescape(raw_)};
}

std::string frame(std::string_view payload) {
    std::string raw;
    raw.reserve(payload.size() + 4);
    for (size_t i = 0; i < payload.size(); i++) {
        char c = payload[i];
        if (needs_escape(c)) {
            raw += kEscape;
            raw += static_cast<char>(c ^ kEscapeFlip);
            continue;
        }
        raw += c;
        size_t behind = payload.find_first_not_of(c, i);
        size_t run = run_of((behind == payload.npos ? payload.size() : behind) - i - 1);
        if (run == 0) continue;
        raw += kRun;
        raw += static_cast<char>(run + 29);
        i += run;
    }
    uint8_t sum = checksum(raw);
    return kStart + raw + kEnd + kDigits[sum >> 4] + kDigits[sum & 15];
}

std::string to_hex(std::string_view bytes) {
    std::string text;
    text.reserve(2 * bytes.size());
    for (char c : bytes) {
        auto byte = static_cast<uint8_t>(c);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

std::optional<std::string> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() / 2);
    for (size_t i = 0; i < text.size(); i += 2) {
        auto high = digit(text[i]), low = digit(text[i + 1]);
        if (!high || !low) return std::nullopt;
        bytes += static_cast<char>(*high << 4 | *low);
    }
    return bytes;
}

std::optional<uint64_t> Fields::number() {
    constexpr int kHex = 16;
    uint64_t value = 0;
    auto [end, problem] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value, kHex);
    if (problem != std::errc()) return std::nullopt;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
}

bool Fields::skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
}

std::string_view Fields::until(char c) {
    size_t length = std::min(rest_.find(c), rest_.size());
    std::string_view part = rest_.substr(0, length);
    rest_.remove_prefix(std::min(length + 1, rest_.size()));
    return part;
}

}  // namespace doppel::machine::gdb
