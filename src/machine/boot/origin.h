// Whose bytes are being read: the first two parts of every error about them. And what they begin with.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace doppel::machine::boot {

// The cure for truncated and damaged files.
inline constexpr char kWholeCopy[] = "get a whole copy of it";

// Whether `magic` stands at `offset`; false when the file is too short for it.
inline bool has_magic(std::span<const uint8_t> file, size_t offset, std::string_view magic) {
    return offset <= file.size() && magic.size() <= file.size() - offset &&
           std::memcmp(file.data() + offset, magic.data(), magic.size()) == 0;
}

struct Origin {
    std::string purpose;  // the step that needs the file: "read kernel"
    std::string subject;  // the file: a path

    Error error(std::string why, std::string cure = {}) const {
        return {purpose, subject, std::move(why), std::move(cure)};
    }
};

}  // namespace doppel::machine::boot
