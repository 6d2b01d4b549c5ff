#include "agent/frame.h"

#include <algorithm>
#include <array>

#include "base/byte_order.h"

namespace doppel::agent {

namespace {

constexpr uint16_t kMagic = 0x4144;  // "DA"
constexpr std::array<uint8_t, 8> kSignature{'d', 'o', 'p', 'p', 'e', 'l', 0x1a, 0xa9};
constexpr size_t kPatternSize = kHeaderSize + kSignature.size();

void store_header(uint8_t* at, const Frame& frame, size_t length) {
    store_le(at, kMagic);
    at[2] = static_cast<uint8_t>(frame.type);
    at[3] = frame.stream;
    store_le(at + 4, frame.channel);
    store_le(at + 8, static_cast<uint32_t>(length));
}

// What every HELLO begins with.
std::array<uint8_t, kPatternSize> hello_pattern() {
    std::array<uint8_t, kPatternSize> pattern{};
    store_header(pattern.data(), {.type = FrameType::kHello}, kHelloSize);
    std::copy(kSignature.begin(), kSignature.end(), pattern.begin() + kHeaderSize);
    return pattern;
}

}  // namespace

void append_frame(std::vector<uint8_t>& to, const Frame& frame) {
    const size_t at = to.size();
    to.resize(at + kHeaderSize + frame.payload.size());
    store_header(&to[at], frame, frame.payload.size());
    std::copy(frame.payload.begin(), frame.payload.end(), to.begin() + static_cast<ptrdiff_t>(at + kHeaderSize));
}

void append_hello(std::vector<uint8_t>& to, const Hello& hello) {
    std::array<uint8_t, kHelloSize> payload{};
    std::copy(kSignature.begin(), kSignature.end(), payload.begin());
    store_le(&payload[8], hello.version);
    store_le(&payload[12], hello.oldest_version);
    store_le(&payload[16], hello.session);
    store_le(&payload[24], hello.services);
    append_frame(to, {.type = FrameType::kHello, .payload = payload});
}

std::optional<Hello> parse_hello(std::span<const uint8_t> payload) {
    if (payload.size() != kHelloSize || !std::equal(kSignature.begin(), kSignature.end(), payload.begin())) {
        return std::nullopt;
    }
    return Hello{load_le<uint32_t>(&payload[8]), load_le<uint32_t>(&payload[12]), load_le<uint64_t>(&payload[16]),
                 load_le<uint64_t>(&payload[24])};
}

std::optional<uint32_t> common_version(const Hello& one, const Hello& other) {
    const uint32_t version = std::min(one.version, other.version);
    if (version < one.oldest_version || version < other.oldest_version) return std::nullopt;
    return version;
}

void FrameReader::feed(std::span<const uint8_t> bytes) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(begin_));
    begin_ = 0;
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

bool FrameReader::find_hello() {
    const auto pattern = hello_pattern();
    const auto from = bytes_.begin() + static_cast<ptrdiff_t>(begin_);
    const auto found = std::search(from, bytes_.end(), pattern.begin(), pattern.end());
    begin_ = static_cast<size_t>(found - bytes_.begin());
    if (found != bytes_.end()) return true;
    // The last bytes may be the beginning of one.
    size_t tail = std::min(static_cast<size_t>(bytes_.end() - from), kPatternSize - 1);
    while (tail > 0 && !std::equal(bytes_.end() - static_cast<ptrdiff_t>(tail), bytes_.end(), pattern.begin())) tail--;
    begin_ = bytes_.size() - tail;
    return false;
}

FrameReader::Found FrameReader::next(Frame& frame) {
    if (broken_) return Found::kBroken;
    if (!synchronised_ && !find_hello()) return Found::kNothing;
    synchronised_ = true;
    const auto rest = std::span<const uint8_t>(bytes_).subspan(begin_);
    if (rest.size() < kHeaderSize) return Found::kNothing;
    const auto length = load_le<uint32_t>(&rest[8]);
    const bool known =
        rest[2] >= static_cast<uint8_t>(FrameType::kHello) && rest[2] <= static_cast<uint8_t>(FrameType::kResult);
    if (load_le<uint16_t>(rest.data()) != kMagic || !known || length > kMaxPayload) {
        broken_ = true;
        begin_ = bytes_.size();
        return Found::kBroken;
    }
    if (rest.size() < kHeaderSize + length) return Found::kNothing;
    frame = {static_cast<FrameType>(rest[2]), rest[3], load_le<uint32_t>(&rest[4]), rest.subspan(kHeaderSize, length)};
    begin_ += kHeaderSize + length;
    return Found::kFrame;
}

}  // namespace doppel::agent
