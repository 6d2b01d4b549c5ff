// Feeds a byte string to a device as what a hostile guest and a hostile saved state can do to it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "base/byte_order.h"
#include "base/saved_state.h"
#include "device/device.h"
#include "device/device_testing.h"

namespace doppel::device {

// A byte string that is consumed from the front and reads as zeros beyond its end.
class FuzzBytes {
  public:
    FuzzBytes(const uint8_t* data, size_t size) : bytes_(data, size) {}
    bool empty() const { return bytes_.empty(); }
    uint8_t byte() { return static_cast<uint8_t>(integer(1)); }
    uint64_t integer(size_t width) {
        auto front = take(width);
        uint8_t whole[8] = {};
        std::copy(front.begin(), front.end(), whole);
        return load_le<uint64_t>(whole);
    }
    std::span<const uint8_t> take(size_t count) {
        auto front = bytes_.first(std::min(count, bytes_.size()));
        bytes_ = bytes_.subspan(front.size());
        return front;
    }

  private:
    std::span<const uint8_t> bytes_;
};

// Aborts, for a fuzzer to report, when a promise of the device is broken.
inline void fuzz_require(bool kept) {
    if (!kept) std::abort();
}

struct FuzzedDevice {
    Device& device;
    Saved& state;
    uint64_t size;  // bytes of the mapped range
    // What reaches the device from elsewhere: inputs, time. May be empty.
    std::function<void(FuzzBytes&)> outside;
};

// A copy of a document with some of its fields altered and its checksum right, so that it reaches the device.
inline std::vector<uint8_t> altered_document(const std::vector<uint8_t>& document, FuzzBytes& bytes) {
    constexpr size_t kHeader = 12;
    constexpr size_t kFieldHeader = 7;
    constexpr uint8_t kInteger = 1;
    StateWriter writer;
    for (size_t at = kHeader; at + kFieldHeader <= document.size();) {
        uint16_t tag = load_le<uint16_t>(&document[at]);
        bool is_integer = document[at + 2] == kInteger;
        size_t length = load_le<uint32_t>(&document[at + 3]);
        std::vector<uint8_t> payload(document.begin() + at + kFieldHeader,
                                     document.begin() + at + kFieldHeader + length);
        at += kFieldHeader + length;
        uint8_t how = bytes.byte();
        if (how % 4 == 1 && !payload.empty()) payload[bytes.byte() % payload.size()] = bytes.byte();
        if (how % 16 == 2) payload.resize(bytes.byte());
        if (how % 16 == 3) is_integer = !is_integer;
        if (is_integer) {
            payload.resize(8);
            writer.field(tag, load_le<uint64_t>(payload.data()));
        } else {
            writer.field(tag, payload);
        }
    }
    return writer.finish();
}

// Restoring what was saved succeeds and changes nothing; restoring anything else may fail, and then changes nothing.
// The outside must stand still meanwhile (a ManualClock).
inline void fuzz_saved_state(FuzzedDevice& fuzzed, FuzzBytes& bytes) {
    std::vector<uint8_t> before = saved(fuzzed.state);
    fuzz_require(restore(fuzzed.state, before).has_value());
    std::vector<uint8_t> settled = saved(fuzzed.state);
    fuzz_require(restore(fuzzed.state, settled).has_value());
    fuzz_require(saved(fuzzed.state) == settled);
    bool restored = restore(fuzzed.state, altered_document(settled, bytes)).has_value();
    if (!restored) fuzz_require(saved(fuzzed.state) == settled);
}

inline void fuzz_device(FuzzedDevice fuzzed, FuzzBytes bytes) {
    constexpr uint64_t kNear = 0x40;  // most small offsets are registers
    while (!bytes.empty()) {
        uint8_t action = bytes.byte();
        unsigned width = 1u << ((action >> 3) & 3);
        uint64_t range = (action & 0x20) != 0 ? std::min(kNear, fuzzed.size) : fuzzed.size;
        switch (action & 7) {
            case 0:
            case 1: {
                uint64_t offset = bytes.integer(4) % range;
                std::lock_guard guard(fuzzed.device.lock());
                uint64_t value = fuzzed.device.read(offset, width);
                fuzz_require(width == 8 || value >> (8 * width) == 0);
                break;
            }
            case 2:
            case 3:
            case 4: {
                uint64_t offset = bytes.integer(4) % range;
                uint64_t value = bytes.integer((action & 0x40) != 0 ? 8 : 1);
                std::lock_guard guard(fuzzed.device.lock());
                fuzzed.device.write(offset, width, value);
                break;
            }
            case 5:
                if ((action & 0xf8) == 0) {
                    std::lock_guard guard(fuzzed.device.lock());
                    fuzzed.device.reset();
                } else if ((action & 0x80) != 0) {
                    fuzz_saved_state(fuzzed, bytes);
                }
                break;
            default:
                if (fuzzed.outside) fuzzed.outside(bytes);
        }
    }
}

}  // namespace doppel::device
