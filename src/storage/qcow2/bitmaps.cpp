#include "storage/qcow2/bitmaps.h"

#include <array>

#include "base/byte_order.h"

namespace doppel::storage::qcow2 {

namespace {

constexpr uint64_t kFixed = 24;
constexpr uint64_t kMaxDirectory = 64 << 20;
constexpr uint32_t kMaxTableEntries = 1 << 20;  // 512 KiB clusters' bitmaps of 2^48 bytes with 64 KiB a bit

Error damaged(const BlockDevice& file, std::string why) {
    return {"read bitmaps", file.name(), std::move(why), "doppel disk check says more"};
}

}  // namespace

Task<Result<std::vector<Bitmap>>> read_bitmaps(BlockDevice& file, const Header& header) {
    std::vector<Bitmap> bitmaps;
    if (!header.bitmaps) co_return bitmaps;
    const BitmapsExtension& where = *header.bitmaps;
    if (where.count > kMaxBitmaps || where.directory_size > kMaxDirectory ||
        header.geometry.offset_in_cluster(where.directory_offset) != 0 || where.directory_offset > file.size() ||
        where.directory_size > file.size() - where.directory_offset)
        co_return fail(damaged(file, "their directory is at no valid place"));
    std::vector<uint8_t> raw(where.directory_size);
    const Status status = co_await file.read(where.directory_offset, Buffers(std::span(raw)));
    if (!status.ok()) co_return fail(Error::system("read bitmaps", file.name(), status.error_number()));
    uint64_t at = 0;
    for (uint32_t i = 0; i < where.count; i++) {
        if (raw.size() - at < kFixed) co_return fail(damaged(file, "their directory is cut off"));
        const uint8_t* entry = &raw[at];
        const uint64_t name_size = load_be<uint16_t>(entry + 18), extra_size = load_be<uint32_t>(entry + 20);
        const uint64_t size = (kFixed + extra_size + name_size + 7) / 8 * 8;
        if (size > raw.size() - at) co_return fail(damaged(file, "their directory is cut off"));
        Bitmap one;
        one.entry_offset = where.directory_offset + at;
        one.table_offset = load_be<uint64_t>(entry);
        one.table_entries = load_be<uint32_t>(entry + 8);
        one.flags = load_be<uint32_t>(entry + 12);
        one.type = entry[16];
        one.granularity_bits = entry[17];
        one.name.assign(reinterpret_cast<const char*>(entry) + kFixed + extra_size, name_size);
        if (one.table_entries > kMaxTableEntries || header.geometry.offset_in_cluster(one.table_offset) != 0 ||
            one.table_offset > file.size() || one.table_entries * uint64_t{8} > file.size() - one.table_offset)
            co_return fail(damaged(file, "a bitmap's table is at no valid place"));
        bitmaps.push_back(std::move(one));
        at += size;
    }
    co_return bitmaps;
}

Task<Status> mark_bitmaps_in_use(BlockDevice& file, const Header& header) {
    const auto bitmaps = co_await read_bitmaps(file, header);
    if (!bitmaps) co_return kIoError;
    bool changed = false;
    for (const Bitmap& one : *bitmaps) {
        if ((one.flags & Bitmap::kAuto) == 0 || (one.flags & Bitmap::kInUse) != 0) continue;
        std::array<uint8_t, 4> flags{};
        store_be<uint32_t>(flags.data(), one.flags | Bitmap::kInUse);
        constexpr uint64_t kFlagsOffset = 12;
        DOPPEL_STORAGE_CHECK(co_await file.write(one.entry_offset + kFlagsOffset, Buffers(std::span(flags))));
        changed = true;
    }
    if (!changed) co_return kOk;
    co_return co_await file.flush();
}

}  // namespace doppel::storage::qcow2
