// Saved state: one versioned, field-tagged encoding for everything that survives a save and a restore.
//
// A document is a header ("DPLS", u16 encoding version, u16 zero, u32 CRC-32 of the body) and a body of fields. A field
// is tag u16, kind u8 (1 unsigned integer, 2 bytes, 3 section), length u32, then `length` bytes; integers are 8 bytes
// little-endian; a section's bytes are fields. Tags are unique within their section. A reader ignores tags that it does
// not know, and keeps its default for tags that are missing: that is how a newer version adds a field.
//
// State is described once, by a template that both directions evaluate:
//     template <class V> void fields(V& v) { v.field(1, divisor); v.field(2, fifo); v.section(3, line); }
// `field` takes unsigned and signed integers, bool, enums, std::array / std::vector of integers, std::string.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/byte_order.h"
#include "base/result.h"

namespace doppel {

template <class T>
concept StateScalar = std::integral<T> || std::is_enum_v<T>;

class StateWriter {
  public:
    void field(uint16_t tag, const StateScalar auto& value) { put_integer(tag, static_cast<uint64_t>(value)); }
    template <StateScalar T, size_t N>
    void field(uint16_t tag, const std::array<T, N>& values) {
        put_bytes(tag, pack(std::span<const T>(values)));
    }
    template <StateScalar T>
    void field(uint16_t tag, const std::vector<T>& values) {
        put_bytes(tag, pack(std::span<const T>(values)));
    }
    void field(uint16_t tag, const std::string& text) {
        put_bytes(tag, {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    }
    // `part` has a `fields` template of its own.
    template <class Part>
    void section(uint16_t tag, Part& part) {
        StateWriter inner;
        part.fields(inner);
        put_section(tag, inner);
    }
    void put_section(uint16_t tag, const StateWriter& inner);

    // The finished document. Empty, which no reader accepts, when a field was 4 GiB or more: such bulk is no field.
    std::vector<uint8_t> finish() const;

  private:
    template <class T>
    static std::vector<uint8_t> pack(std::span<const T> values) {
        std::vector<uint8_t> bytes(values.size() * 8);
        for (size_t i = 0; i < values.size(); i++) store_le<uint64_t>(&bytes[i * 8], static_cast<uint64_t>(values[i]));
        return bytes;
    }
    static std::vector<uint8_t> pack(std::span<const uint8_t> values) { return {values.begin(), values.end()}; }
    void put_integer(uint16_t tag, uint64_t value);
    void put_bytes(uint16_t tag, std::span<const uint8_t> bytes);
    void put(uint16_t tag, uint8_t kind, std::span<const uint8_t> payload);

    std::vector<uint8_t> body_;
    bool too_large_ = false;
};

// Reads a document. Input is untrusted: every length is checked; a value that does not fit its variable, an array of
// another size, or a field of another kind is an error that `finish` reports. A failed field leaves its variable as it
// was. An enum is checked against its underlying type only: its owner checks the values.
class StateReader {
  public:
    // Checks header, checksum and the structure of all nested sections (at most kMaxDepth deep). `bytes` must outlive
    // the reader.
    static constexpr int kMaxDepth = 16;
    static Result<StateReader> parse(std::span<const uint8_t> bytes);

    template <StateScalar T>
    void field(uint16_t tag, T& value) {
        uint64_t raw = 0;
        if (!get_integer(tag, raw)) return;
        T narrowed = static_cast<T>(raw);
        if (static_cast<uint64_t>(narrowed) != raw) return note_bad(tag, "its value does not fit");
        value = narrowed;
    }
    template <StateScalar T, size_t N>
    void field(uint16_t tag, std::array<T, N>& values) {
        std::vector<T> read;
        if (!get_list(tag, read)) return;
        if (read.size() != N) return note_bad(tag, "its length differs");
        std::copy(read.begin(), read.end(), values.begin());
    }
    template <StateScalar T>
    void field(uint16_t tag, std::vector<T>& values) {
        std::vector<T> read;
        if (get_list(tag, read)) values = std::move(read);
    }
    void field(uint16_t tag, std::string& text) {
        std::span<const uint8_t> bytes;
        if (get_bytes(tag, bytes)) text.assign(bytes.begin(), bytes.end());
    }
    template <class Part>
    void section(uint16_t tag, Part& part) {
        StateReader inner;
        if (!get_section(tag, inner)) return;
        part.fields(inner);
        if (bad_.empty()) bad_ = inner.bad_;
    }
    // False when the section is missing; then `inner` is left as it was.
    bool get_section(uint16_t tag, StateReader& inner);
    bool has(uint16_t tag) const { return fields_.contains(tag); }

    // The first thing that was wrong, if any; `what` names the owner in the error ("restore uart").
    Result<> finish(std::string_view what) const;

  private:
    struct Field {
        uint8_t kind;
        std::span<const uint8_t> payload;
    };
    static Result<StateReader> parse_fields(std::span<const uint8_t> bytes, int depth);
    template <StateScalar T>
    bool get_list(uint16_t tag, std::vector<T>& values) {
        std::span<const uint8_t> bytes;
        if (!get_bytes(tag, bytes)) return false;
        if constexpr (std::is_same_v<T, uint8_t>) {
            values.assign(bytes.begin(), bytes.end());
        } else {
            if (bytes.size() % 8 != 0) return note_bad(tag, "its length is not whole"), false;
            for (size_t i = 0; i < bytes.size(); i += 8) {
                uint64_t raw = load_le<uint64_t>(&bytes[i]);
                if (static_cast<uint64_t>(static_cast<T>(raw)) != raw)
                    return note_bad(tag, "a value does not fit"), false;
                values.push_back(static_cast<T>(raw));
            }
        }
        return true;
    }
    bool get_integer(uint16_t tag, uint64_t& value);
    bool get_bytes(uint16_t tag, std::span<const uint8_t>& bytes);
    void note_bad(uint16_t tag, std::string_view why);

    std::map<uint16_t, Field> fields_;
    std::string bad_;
};

// What a device, a controller or a vCPU implements to survive save and restore. `restore` either takes all of the state
// or leaves the object unchanged. Called while the machine is paused.
class Saved {
  public:
    virtual ~Saved() = default;
    virtual void save(StateWriter& writer) const = 0;
    virtual Result<> restore(StateReader& reader) = 0;
};

}  // namespace doppel
