// For tests: images in memory, beside a plain model of what they should hold.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/memory_device.h"
#include "storage/qcow2/check.h"
#include "storage/qcow2/create.h"
#include "storage/qcow2/image.h"

namespace doppel::storage::qcow2 {

// An image's files in memory. Opens it as often as wanted.
struct TestImage {
    explicit TestImage(const CreateOptions& options, LateCompletions* completions = nullptr) : late(completions) {
        MemoryDevice device(file, {.grows = true});
        auto made = finish(create(device, options));
        EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message());
        if (options.data_file) external = true, data.bytes.resize(options.size);
    }
    Result<std::unique_ptr<Image>> try_open(bool writable = true, ImageOptions options = {.cache_bytes = 16384}) {
        Parts parts;
        parts.file = std::make_unique<MemoryDevice>(file, MemoryDevice::Options{writable, true, late});
        if (external) parts.data = std::make_unique<MemoryDevice>(data, MemoryDevice::Options{writable, true, late});
        if (!backing.bytes.empty())
            parts.backing = std::make_unique<MemoryDevice>(backing, MemoryDevice::Options{false, false, late});
        auto header = finish(read_header(*parts.file), late);
        if (!header) return fail(header.error());
        return finish(Image::open(std::move(parts), *header, std::move(options)), late);
    }
    std::unique_ptr<Image> open(bool writable = true) {
        auto image = try_open(writable);
        EXPECT_TRUE(image.has_value()) << image.error().message();
        return image ? std::move(*image) : nullptr;
    }
    CheckReport check_now(Repair repair = Repair::kNothing) {
        MemoryDevice device(file, {.grows = true});
        auto report = finish(check(device, {repair}));
        EXPECT_TRUE(report.has_value()) << (report ? "" : report.error().message());
        return report ? *report : CheckReport{.corruptions = 1};
    }
    void expect_clean() {
        const CheckReport report = check_now();
        EXPECT_EQ(report.corruptions, 0u) << testing::PrintToString(report.messages);
        EXPECT_EQ(report.leaks, 0u) << testing::PrintToString(report.messages);
    }

    LateCompletions* late;
    MemoryDisk file, data, backing;
    bool external = false;
};

inline std::vector<uint8_t> read_all(BlockDevice& device, LateCompletions* late = nullptr) {
    std::vector<uint8_t> bytes(device.size());
    constexpr uint64_t kPiece = 100000;
    for (uint64_t at = 0; at < bytes.size(); at += kPiece) {
        const auto part = std::span(bytes).subspan(at, std::min(kPiece, bytes.size() - at));
        EXPECT_TRUE(finish(device.read(at, Buffers(part)), late).ok());
    }
    return bytes;
}

}  // namespace doppel::storage::qcow2
