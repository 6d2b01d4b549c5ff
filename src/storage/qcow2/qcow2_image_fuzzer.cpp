// A qcow2 file that is anything: it is opened, read, checked, written and mended. Whatever it says, this ends soon, and
// takes memory by the file's real size.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/log.h"
#include "storage/memory_device.h"
#include "storage/qcow2/bitmaps.h"
#include "storage/qcow2/check.h"
#include "storage/qcow2/image.h"

namespace {

using namespace doppel::storage;

std::unique_ptr<qcow2::Image> open(MemoryDisk& disk, MemoryDisk& other, bool writable) {
    qcow2::Parts parts;
    parts.file = std::make_unique<MemoryDevice>(disk, MemoryDevice::Options{writable, true, nullptr});
    auto header = finish(qcow2::read_header(*parts.file));
    if (!header) return nullptr;
    if (header->external())
        parts.data = std::make_unique<MemoryDevice>(other, MemoryDevice::Options{writable, true, nullptr});
    if (header->backing_file)
        parts.backing = std::make_unique<MemoryDevice>(other, MemoryDevice::Options{false, false, nullptr});
    (void)finish(qcow2::read_bitmaps(*parts.file, *header));
    qcow2::ImageOptions options;
    options.cache_bytes = 65536;
    auto image = finish(qcow2::Image::open(std::move(parts), *header, options));
    return image ? std::move(*image) : nullptr;
}

void use(qcow2::Image& image, bool writable) {
    std::vector<uint8_t> bytes(20000);
    const uint64_t size = image.size();
    for (const uint64_t place : {uint64_t{0}, size / 3, size > 30000 ? size - 30000 : 0}) {
        const auto part = std::span(bytes).first(std::min<uint64_t>(bytes.size(), size - place));
        if (part.empty()) continue;
        (void)finish(image.read(place, Buffers(part)));
        (void)finish(image.extent(place, part.size()));
        if (!writable) continue;
        (void)finish(image.write(place, Buffers(part)));
        (void)finish(image.write_zeroes(place, part.size() / 2, true));
        (void)finish(image.discard(place, part.size()));
        (void)finish(image.flush());
    }
    if (writable) (void)finish(image.resize(size / 2 + 70000, Preallocation::kOff));
    (void)finish(image.close());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    doppel::set_log_level(doppel::LogLevel::kError);
    MemoryDisk other;
    other.bytes.resize(100000, 0x55);
    MemoryDisk disk;
    disk.bytes.assign(data, data + size);
    // Most of what is random is no image: these fields are what it takes.
    if (size >= 8) {
        constexpr uint8_t kMagic[] = {'Q', 'F', 'I', 0xfb, 0, 0, 0};
        std::copy(std::begin(kMagic), std::end(kMagic), disk.bytes.begin());
    }
    const auto original = disk.bytes;
    if (auto image = open(disk, other, false)) use(*image, false);
    if (disk.bytes != original) std::abort();  // read only
    if (auto image = open(disk, other, true)) use(*image, true);
    disk.bytes = original;
    MemoryDevice device(disk, {.grows = true});
    (void)finish(qcow2::check(device, {}));
    if (disk.bytes != original) std::abort();
    (void)finish(qcow2::check(device, {qcow2::Repair::kLeaks}));
    disk.bytes = original;
    (void)finish(qcow2::check(device, {qcow2::Repair::kAll}));
    return 0;
}
