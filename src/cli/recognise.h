// What a path holds, by its content and never by its ending (CLI.md, "What `doppel run WHAT` means").
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/result.h"

namespace doppel::cli {

enum class Content { kImage, kTree, kArchive, kDisk, kForeignDisk, kProgram, kKernel, kUnknown };

struct Recognised {
    Content content = Content::kUnknown;
    std::string kind;  // for people, with its article: "a qcow2 disk"
};

// How much of a file's beginning decides: the farthest magic is ISO 9660's, at 32769.
inline constexpr size_t kRecognitionBytes = 40 << 10;

// `beginning` is untrusted and may be shorter than kRecognitionBytes.
Recognised recognise_bytes(std::span<const uint8_t> beginning);

// Follows links. FIFOs and sockets are an error.
Result<Recognised> recognise(const std::filesystem::path& path);

}  // namespace doppel::cli
