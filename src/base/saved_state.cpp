#include "base/saved_state.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cstring>
#include <limits>
#include <optional>

namespace doppel {

namespace {

constexpr std::array<uint8_t, 4> kMagic = {'D', 'P', 'L', 'S'};
constexpr uint16_t kEncodingVersion = 1;
constexpr size_t kHeaderSize = 12;
constexpr size_t kFieldHeaderSize = 7;

constexpr uint8_t kInteger = 1;
constexpr uint8_t kBytes = 2;
constexpr uint8_t kSection = 3;

uint32_t checksum(std::span<const uint8_t> bytes) {
    return static_cast<uint32_t>(::crc32_z(0, bytes.data(), bytes.size()));
}

Error damaged(std::string why) {
    return {"read saved state", "", std::move(why), "use an intact copy"};
}

// Nothing when the header is right, else what is wrong.
std::optional<std::string> check_header(std::span<const uint8_t> bytes) {
    if (bytes.size() < kHeaderSize) return "it is truncated";
    if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) return "it is not a saved state";
    uint16_t version = load_le<uint16_t>(&bytes[4]);
    if (version != kEncodingVersion) return fmt::format("its encoding version {} is unknown", version);
    if (load_le<uint16_t>(&bytes[6]) != 0) return "its header is damaged";
    if (load_le<uint32_t>(&bytes[8]) != checksum(bytes.subspan(kHeaderSize))) return "its checksum is wrong";
    return std::nullopt;
}

}  // namespace

void StateWriter::put_section(uint16_t tag, const StateWriter& inner) {
    too_large_ |= inner.too_large_;
    put(tag, kSection, inner.body_);
}

void StateWriter::put_integer(uint16_t tag, uint64_t value) {
    std::array<uint8_t, 8> bytes{};
    store_le(bytes.data(), value);
    put(tag, kInteger, bytes);
}

void StateWriter::put_bytes(uint16_t tag, std::span<const uint8_t> bytes) {
    put(tag, kBytes, bytes);
}

void StateWriter::put(uint16_t tag, uint8_t kind, std::span<const uint8_t> payload) {
    if (payload.size() > std::numeric_limits<uint32_t>::max()) {
        too_large_ = true;
        return;
    }
    std::array<uint8_t, kFieldHeaderSize> header{};
    store_le(&header[0], tag);
    header[2] = kind;
    store_le(&header[3], static_cast<uint32_t>(payload.size()));
    body_.insert(body_.end(), header.begin(), header.end());
    body_.insert(body_.end(), payload.begin(), payload.end());
}

std::vector<uint8_t> StateWriter::finish() const {
    if (too_large_) return {};
    std::vector<uint8_t> document(kHeaderSize);
    std::copy(kMagic.begin(), kMagic.end(), document.begin());
    store_le(&document[4], kEncodingVersion);
    store_le(&document[8], checksum(body_));
    document.insert(document.end(), body_.begin(), body_.end());
    return document;
}

Result<StateReader> StateReader::parse(std::span<const uint8_t> bytes) {
    if (auto wrong = check_header(bytes)) return fail(damaged(std::move(*wrong)));
    return parse_fields(bytes.subspan(kHeaderSize), 0);
}

Result<StateReader> StateReader::parse_fields(std::span<const uint8_t> bytes, int depth) {
    if (depth > kMaxDepth) return fail(damaged("its sections are nested too deep"));
    StateReader reader;
    while (!bytes.empty()) {
        if (bytes.size() < kFieldHeaderSize) return fail(damaged("a field is truncated"));
        uint16_t tag = load_le<uint16_t>(&bytes[0]);
        uint8_t kind = bytes[2];
        uint32_t length = load_le<uint32_t>(&bytes[3]);
        bytes = bytes.subspan(kFieldHeaderSize);
        if (length > bytes.size()) return fail(damaged(fmt::format("field {} is truncated", tag)));
        std::span<const uint8_t> payload = bytes.first(length);
        bytes = bytes.subspan(length);
        if (kind < kInteger || kind > kSection) return fail(damaged(fmt::format("field {} has no known kind", tag)));
        if (kind == kInteger && length != 8) return fail(damaged(fmt::format("integer {} has not 8 bytes", tag)));
        if (kind == kSection) DOPPEL_CHECK(parse_fields(payload, depth + 1));
        if (!reader.fields_.emplace(tag, Field{kind, payload}).second) {
            return fail(damaged(fmt::format("field {} occurs twice", tag)));
        }
    }
    return reader;
}

bool StateReader::get_section(uint16_t tag, StateReader& inner) {
    auto found = fields_.find(tag);
    if (found == fields_.end()) return false;
    if (found->second.kind != kSection) return note_bad(tag, "it is not a section"), false;
    // parse() has checked the structure, so this section parses again.
    auto parsed = parse_fields(found->second.payload, 0);
    if (!parsed) return note_bad(tag, parsed.error().why), false;
    inner = std::move(*parsed);
    return true;
}

bool StateReader::get_integer(uint16_t tag, uint64_t& value) {
    auto found = fields_.find(tag);
    if (found == fields_.end()) return false;
    if (found->second.kind != kInteger) return note_bad(tag, "it is not an integer"), false;
    value = load_le<uint64_t>(found->second.payload.data());
    return true;
}

bool StateReader::get_bytes(uint16_t tag, std::span<const uint8_t>& bytes) {
    auto found = fields_.find(tag);
    if (found == fields_.end()) return false;
    if (found->second.kind != kBytes) return note_bad(tag, "it is not a byte string"), false;
    bytes = found->second.payload;
    return true;
}

void StateReader::note_bad(uint16_t tag, std::string_view why) {
    if (bad_.empty()) bad_ = fmt::format("field {}: {}", tag, why);
}

Result<> StateReader::finish(std::string_view what) const {
    if (bad_.empty()) return {};
    return fail(Error{std::string(what), "", bad_, "use a state that this version of doppel saved"});
}

}  // namespace doppel
