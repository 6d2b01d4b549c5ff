// How requests and results are encoded: a list of fields, each tag u16, length u32, bytes. Integers are 8 bytes,
// little-endian. A field may repeat; a reader ignores tags that it does not know and keeps its default for those that
// are missing, which is how later versions add some.
//
// A message describes itself once, for both directions:
//     template <class V> void fields(V& v) { v.field(1, path); v.field(2, mode); }
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/byte_order.h"

namespace doppel::agent {

using Bytes = std::vector<uint8_t>;

template <class T>
concept FieldNumber = std::integral<T> || std::is_enum_v<T>;

class FieldWriter {
  public:
    void field(uint16_t tag, const FieldNumber auto& value) {
        std::array<uint8_t, 8> raw;
        store_le(raw.data(), static_cast<uint64_t>(value));
        put(tag, raw);
    }
    void field(uint16_t tag, const std::string& text) {
        put(tag, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    void field(uint16_t tag, const Bytes& bytes) { put(tag, bytes); }
    template <class T>
    void field(uint16_t tag, const std::vector<T>& values) {
        for (const T& value : values) field(tag, value);
    }
    template <class T>
    void field(uint16_t tag, const std::optional<T>& value) {
        if (value) field(tag, *value);
    }
    // A message inside.
    template <class T>
    requires std::is_class_v<T>
    void field(uint16_t tag, const T& message) {
        FieldWriter inner;
        const_cast<T&>(message).fields(inner);
        put(tag, inner.bytes_);
    }

    Bytes take() { return std::move(bytes_); }

  private:
    void put(uint16_t tag, std::span<const uint8_t> value) {
        const size_t at = bytes_.size();
        bytes_.resize(at + 6);
        store_le(&bytes_[at], tag);
        store_le(&bytes_[at + 2], static_cast<uint32_t>(value.size()));
        bytes_.insert(bytes_.end(), value.begin(), value.end());
    }
    Bytes bytes_;
};

// Nothing is trusted: a length beyond the end, a number of another size or one that does not fit its variable make the
// message invalid.
class FieldReader {
  public:
    explicit FieldReader(std::span<const uint8_t> bytes) : bytes_(bytes) {
        each([](uint16_t, std::span<const uint8_t>) {});
    }
    bool valid() const { return valid_; }

    void field(uint16_t tag, FieldNumber auto& value) {
        find(tag, [&](std::span<const uint8_t> raw) { take(raw, value); });
    }
    void field(uint16_t tag, std::string& text) {
        find(tag, [&](std::span<const uint8_t> raw) { take(raw, text); });
    }
    void field(uint16_t tag, Bytes& bytes) {
        find(tag, [&](std::span<const uint8_t> raw) { bytes.assign(raw.begin(), raw.end()); });
    }
    template <class T>
    void field(uint16_t tag, std::vector<T>& values) {
        values.clear();
        find(tag, [&](std::span<const uint8_t> raw) { take(raw, values.emplace_back()); });
    }
    template <class T>
    void field(uint16_t tag, std::optional<T>& value) {
        find(tag, [&](std::span<const uint8_t> raw) { take(raw, value.emplace()); });
    }
    template <class T>
    requires std::is_class_v<T>
    void field(uint16_t tag, T& message) {
        find(tag, [&](std::span<const uint8_t> raw) { take(raw, message); });
    }

  private:
    template <class Use>
    void each(Use use) {
        auto rest = bytes_;
        while (valid_ && !rest.empty()) {
            if (rest.size() < 6 || rest.size() - 6 < load_le<uint32_t>(&rest[2])) {
                valid_ = false;
                return;
            }
            const auto length = load_le<uint32_t>(&rest[2]);
            use(load_le<uint16_t>(rest.data()), rest.subspan(6, length));
            rest = rest.subspan(6 + length);
        }
    }
    template <class Use>
    void find(uint16_t wanted, Use use) {
        each([&](uint16_t tag, std::span<const uint8_t> raw) {
            if (tag == wanted) use(raw);
        });
    }
    template <FieldNumber T>
    void take(std::span<const uint8_t> raw, T& value) {
        if (raw.size() != 8) {
            valid_ = false;
            return;
        }
        const auto wide = load_le<uint64_t>(raw.data());
        const T narrow = static_cast<T>(wide);
        valid_ = valid_ && static_cast<uint64_t>(narrow) == wide;
        if (valid_) value = narrow;
    }
    void take(std::span<const uint8_t> raw, std::string& text) {
        text.assign(reinterpret_cast<const char*>(raw.data()), raw.size());
    }
    template <class T>
    requires std::is_class_v<T>
    void take(std::span<const uint8_t> raw, T& message) {
        FieldReader inner(raw);
        message.fields(inner);
        valid_ = valid_ && inner.valid();
    }

    std::span<const uint8_t> bytes_;
    bool valid_ = true;
};

template <class Message>
Bytes encode(const Message& message) {
    FieldWriter writer;
    const_cast<Message&>(message).fields(writer);
    return writer.take();
}

template <class Message>
std::optional<Message> decode(std::span<const uint8_t> bytes) {
    FieldReader reader(bytes);
    Message message;
    if (reader.valid()) message.fields(reader);
    if (!reader.valid()) return std::nullopt;
    return message;
}

}  // namespace doppel::agent
