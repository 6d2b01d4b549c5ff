#include "storage/qcow2/snapshots.h"

#include <fmt/format.h>

#include <array>

#include "base/byte_order.h"

namespace doppel::storage::qcow2 {

namespace {

constexpr uint64_t kFixed = 40;
constexpr uint64_t kMaxTable = 64 << 20;
constexpr uint32_t kMaxExtra = 1024;  // what is defined takes 24 bytes

Error damaged(const BlockDevice& file, std::string why) {
    return {"read snapshots", file.name(), std::move(why), "doppel disk check says more"};
}

// Reads entry by entry; `at` moves behind the one that was read.
Task<Result<Snapshot>> read_entry(BlockDevice& file, const Header& header, uint64_t& at) {
    std::array<uint8_t, kFixed> fixed{};
    if (at > file.size() || file.size() - at < kFixed) co_return fail(damaged(file, "their table is cut off"));
    Status status = co_await file.read(at, Buffers(std::span(fixed)));
    if (!status.ok()) co_return fail(Error::system("read snapshots", file.name(), status.error_number()));
    const uint64_t id_size = load_be<uint16_t>(&fixed[12]), name_size = load_be<uint16_t>(&fixed[14]);
    const uint32_t extra_size = load_be<uint32_t>(&fixed[36]);
    if (extra_size > kMaxExtra) co_return fail(damaged(file, "a snapshot has too much extra data"));
    std::vector<uint8_t> rest(extra_size + id_size + name_size);
    if (file.size() - at - kFixed < rest.size()) co_return fail(damaged(file, "their table is cut off"));
    status = co_await file.read(at + kFixed, Buffers(std::span(rest)));
    if (!status.ok()) co_return fail(Error::system("read snapshots", file.name(), status.error_number()));

    Snapshot one;
    one.l1_offset = load_be<uint64_t>(&fixed[0]);
    one.l1_entries = load_be<uint32_t>(&fixed[8]);
    one.seconds = load_be<uint32_t>(&fixed[16]);
    one.nanoseconds = load_be<uint32_t>(&fixed[20]);
    one.guest_nanoseconds = load_be<uint64_t>(&fixed[24]);
    one.vm_state_size = extra_size >= 8 ? load_be<uint64_t>(&rest[0]) : load_be<uint32_t>(&fixed[32]);
    one.disk_size = extra_size >= 16 ? load_be<uint64_t>(&rest[8]) : header.size;
    const auto names = rest.begin() + static_cast<std::ptrdiff_t>(extra_size);
    one.id.assign(names, names + static_cast<std::ptrdiff_t>(id_size));
    one.name.assign(names + static_cast<std::ptrdiff_t>(id_size), rest.end());
    at += (kFixed + rest.size() + 7) / 8 * 8;

    const uint64_t l1_bytes = uint64_t{one.l1_entries} * 8;
    if (l1_bytes > kMaxL1Bytes || header.geometry.offset_in_cluster(one.l1_offset) != 0 ||
        one.l1_offset > file.size() || l1_bytes > file.size() - one.l1_offset)
        co_return fail(damaged(file, fmt::format("the L1 table of snapshot {} is at no valid place", one.id)));
    co_return one;
}

struct Table {
    std::vector<Snapshot> snapshots;
    uint64_t bytes = 0;
};

Task<Result<Table>> read_table(BlockDevice& file, const Header& header) {
    Table table;
    uint64_t at = header.snapshots_offset;
    for (uint32_t i = 0; i < header.snapshots; i++) {
        auto one = co_await read_entry(file, header, at);
        if (!one) co_return fail(std::move(one).error());
        table.snapshots.push_back(std::move(*one));
        if (at - header.snapshots_offset > kMaxTable)
            co_return fail(damaged(file, "their table is larger than 64 MiB"));
    }
    table.bytes = at - header.snapshots_offset;
    co_return table;
}

}  // namespace

Task<Result<std::vector<Snapshot>>> read_snapshots(BlockDevice& file, const Header& header) {
    auto table = co_await read_table(file, header);
    if (!table) co_return fail(std::move(table).error());
    co_return std::move(table->snapshots);
}

Task<Result<uint64_t>> snapshot_table_bytes(BlockDevice& file, const Header& header) {
    auto table = co_await read_table(file, header);
    if (!table) co_return fail(std::move(table).error());
    co_return table->bytes;
}

}  // namespace doppel::storage::qcow2
