#include "stored_code/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/byte_order.h"
#include "base/hash.h"

namespace doppel::stored_code {

namespace {

constexpr std::string_view kMagic = "DPLTRANS";
constexpr uint32_t kFormat = 1;
constexpr size_t kHeaderBytes = 48, kChecksumAt = 40, kEntryBytes = 40, kPartBytes = 16;
constexpr size_t kMaxText = 64 << 10;

void put(std::vector<uint8_t>& to, std::integral auto value) {
    to.resize(to.size() + sizeof value);
    store_le(&to[to.size() - sizeof value], value);
}

void put(std::vector<uint8_t>& to, std::string_view text) {
    for (const char character : text) to.push_back(static_cast<uint8_t>(character));
}

// `bytes` is a header and an index.
uint64_t checksum_of(std::span<const uint8_t> bytes) {
    return hash64(bytes.first(kChecksumAt)) ^ hash64(bytes.subspan(kHeaderBytes));
}

void put_entry(std::vector<uint8_t>& to, const FileUnit& stored, const Unit& unit, uint64_t at) {
    put(to, at);
    put(to, hash64(stored.bytes));
    put(to, key_of(unit));
    put(to, static_cast<uint32_t>(stored.bytes.size()));
    put(to, stored.last_used);
    put(to, static_cast<uint16_t>(unit.parts.size()));
    put(to, static_cast<uint8_t>(unit.is_loop ? 1 : 0));
    put(to, unit.mode);
    put(to, uint32_t{0});
    std::span<const uint8_t> guest = unit.guest;
    for (const Part& part : unit.parts) {
        put(to, part.offset);
        put(to, part.bytes);
        put(to, load_le<uint16_t>(guest.data()));
        put(to, uint16_t{0});
        put(to, hash64(guest.first(part.bytes)));
        guest = guest.subspan(part.bytes);
    }
}

bool read_at(int fd, std::span<uint8_t> to, uint64_t offset) {
    while (!to.empty()) {
        const ssize_t got = pread(fd, to.data(), to.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to = to.subspan(static_cast<size_t>(got));
        offset += static_cast<size_t>(got);
    }
    return true;
}

}  // namespace

size_t index_bytes_of(const Unit& unit) {
    return kEntryBytes + unit.parts.size() * kPartBytes;
}

std::vector<uint8_t> encode_file(const Identity& identity, uint32_t generation, std::span<const FileUnit> units) {
    uint64_t index_bytes = identity.configuration.size() + identity.guest.size();
    uint64_t unit_bytes = 0;
    for (const FileUnit& unit : units) {
        index_bytes += index_bytes_of(*decode(unit.bytes));
        unit_bytes += unit.bytes.size();
    }
    uint64_t at = kHeaderBytes + index_bytes;
    std::vector<uint8_t> file;
    file.reserve(at + unit_bytes);
    put(file, kMagic);
    put(file, kFormat);
    put(file, static_cast<uint32_t>(index_bytes));
    put(file, at + unit_bytes);
    put(file, generation);
    put(file, static_cast<uint32_t>(units.size()));
    put(file, static_cast<uint32_t>(identity.configuration.size()));
    put(file, static_cast<uint32_t>(identity.guest.size()));
    put(file, uint64_t{0});
    put(file, identity.configuration);
    put(file, identity.guest);
    for (size_t i = 0; i < units.size(); i++) {
        put_entry(file, units[i], *decode(units[i].bytes), at);
        at += units[i].bytes.size();
    }
    store_le(&file[kChecksumAt], checksum_of(file));
    for (const FileUnit& unit : units) file.insert(file.end(), unit.bytes.begin(), unit.bytes.end());
    return file;
}

Result<File> File::read(UniqueFd file, const std::filesystem::path& path) {
    const auto problem = [&](std::string why) {
        return fail(Error{"use stored translations", path.string(), std::move(why), "they are made anew"});
    };
    struct stat status {};
    if (fstat(file.get(), &status) != 0) return fail(Error::system("use stored translations", path.string(), errno));
    const auto size = static_cast<uint64_t>(status.st_size);
    std::array<uint8_t, kHeaderBytes> header;
    if (size < kHeaderBytes || size > kMaxFileBytes || !read_at(file.get(), header, 0) ||
        std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) {
        return problem("it is no file of translations");
    }
    if (load_le<uint32_t>(&header[8]) != kFormat) return problem("another version of doppel wrote it");
    const uint64_t index_bytes = load_le<uint32_t>(&header[12]);
    const uint64_t configuration_bytes = load_le<uint32_t>(&header[32]);
    const uint64_t guest_bytes = load_le<uint32_t>(&header[36]);
    if (load_le<uint64_t>(&header[16]) != size || index_bytes > size - kHeaderBytes || configuration_bytes > kMaxText ||
        guest_bytes > kMaxText || configuration_bytes + guest_bytes > index_bytes) {
        return problem("it is damaged");
    }
    std::vector<uint8_t> head(kHeaderBytes + index_bytes);
    if (!read_at(file.get(), head, 0) || load_le<uint64_t>(&head[kChecksumAt]) != checksum_of(head)) {
        return problem("it is damaged");
    }
    File made;
    made.file_ = std::move(file);
    made.bytes_ = size;
    made.generation_ = load_le<uint32_t>(&head[24]);
    const auto* text = reinterpret_cast<const char*>(head.data()) + kHeaderBytes;
    made.identity_ = {{text, configuration_bytes}, {text + configuration_bytes, guest_bytes}};
    const auto index = std::span<const uint8_t>(head).subspan(kHeaderBytes + configuration_bytes + guest_bytes);
    if (!made.parse(index, load_le<uint32_t>(&head[28]))) return problem("it is damaged");
    return made;
}

bool File::parse(std::span<const uint8_t> index, uint32_t units) {
    if (units > index.size() / (kEntryBytes + kPartBytes)) return false;
    entries_.reserve(units);
    for (uint32_t i = 0; i < units; i++) {
        if (index.size() < kEntryBytes) return false;
        Entry entry{};
        entry.at = load_le<uint64_t>(&index[0]);
        entry.checksum = load_le<uint64_t>(&index[8]);
        entry.key = load_le<uint64_t>(&index[16]);
        entry.bytes = load_le<uint32_t>(&index[24]);
        entry.last_used = load_le<uint32_t>(&index[28]);
        entry.first_part = static_cast<uint32_t>(parts_.size());
        entry.parts = load_le<uint16_t>(&index[32]);
        entry.is_loop = index[34] != 0;
        entry.mode = index[35];
        index = index.subspan(kEntryBytes);
        if (entry.bytes > bytes_ || entry.at > bytes_ - entry.bytes || entry.parts == 0 || entry.parts > kMaxParts ||
            index.size() < entry.parts * kPartBytes) {
            return false;
        }
        for (uint16_t part = 0; part < entry.parts; part++, index = index.subspan(kPartBytes)) {
            PartEntry read{
                load_le<uint64_t>(&index[8]), i, kNone, load_le<uint16_t>(&index[0]), load_le<uint16_t>(&index[2]),
                load_le<uint16_t>(&index[4])};
            if (read.bytes == 0 || size_t{read.offset} + read.bytes > kPageBytes) return false;
            parts_.push_back(read);
        }
        entries_.push_back(entry);
    }
    if (!index.empty()) return false;
    make_buckets();
    return true;
}

void File::make_buckets() {
    buckets_.assign(std::bit_ceil(parts_.size() + 1), kNone);
    for (uint32_t i = 0; i < parts_.size(); i++) {
        uint32_t& head = buckets_[bucket(parts_[i].offset, parts_[i].first, entries_[parts_[i].unit].mode)];
        parts_[i].next = std::exchange(head, i);
    }
}

size_t File::bucket(uint16_t offset, uint16_t first, uint8_t mode) const {
    constexpr uint64_t kFactor = 0x9e37'79b9'7f4a'7c15;
    const uint64_t key = uint64_t{offset} << 32 | uint64_t{mode} << 16 | first;
    return key * kFactor >> 32 & (buckets_.size() - 1);
}

bool File::seems_code_of(const Entry& entry, std::span<const uint8_t> page) const {
    const auto parts = std::span(parts_).subspan(entry.first_part, entry.parts);
    return std::ranges::all_of(
        parts, [&](const PartEntry& part) { return hash64(page.subspan(part.offset, part.bytes)) == part.checksum; });
}

std::optional<size_t> File::find(std::span<const uint8_t> page, uint16_t offset, uint8_t mode) const {
    if (buckets_.empty() || size_t{offset} + 2 > page.size()) return std::nullopt;
    const auto first = load_le<uint16_t>(&page[offset]);
    std::optional<size_t> best;
    for (uint32_t at = buckets_[bucket(offset, first, mode)]; at != kNone; at = parts_[at].next) {
        const PartEntry& part = parts_[at];
        const Entry& entry = entries_[part.unit];
        if (part.offset != offset || part.first != first || entry.mode != mode) continue;
        const auto rank = [&](const Entry& one) { return std::pair(one.is_loop, one.parts); };
        if (best && rank(entries_[*best]) >= rank(entry)) continue;
        if (seems_code_of(entry, page)) best = part.unit;
    }
    return best;
}

std::optional<std::vector<uint8_t>> File::read_bytes(size_t number) const {
    const Entry& entry = entries_[number];
    std::vector<uint8_t> bytes(entry.bytes);
    if (!read_at(file_.get(), bytes, entry.at) || hash64(bytes) != entry.checksum) return std::nullopt;
    return bytes;
}

bool File::is_unit(const Entry& entry, std::span<const uint8_t> bytes, Unit& unit) {
    return hash64(bytes) == entry.checksum && decode_into(bytes, unit) && unit.mode == entry.mode &&
           unit.is_loop == entry.is_loop && unit.parts.size() == entry.parts;
}

std::optional<Unit> File::read_unit(size_t number) const {
    const auto bytes = read_bytes(number);
    Unit unit;
    if (!bytes || !is_unit(entries_[number], *bytes, unit)) return std::nullopt;
    return unit;
}

bool File::read_unit(size_t number, Unit& unit) {
    const Entry& entry = entries_[number];
    buffer_.resize(entry.bytes);
    return read_through_chunks(buffer_, entry.at) && is_unit(entry, buffer_, unit);
}

bool File::read_through_chunks(std::span<uint8_t> to, uint64_t at) {
    while (!to.empty()) {
        const uint64_t number = at / kChunkBytes, begin = number * kChunkBytes;
        Chunk& chunk = chunks_[number % kChunks];
        if (chunk.at != begin) {
            chunk.at = ~uint64_t{0};
            chunk.bytes.resize(std::min<uint64_t>(kChunkBytes, bytes_ - begin));
            if (!read_at(file_.get(), chunk.bytes, begin)) return false;
            chunk.at = begin;
        }
        const auto from = std::span<const uint8_t>(chunk.bytes).subspan(at - begin);
        const size_t count = std::min(from.size(), to.size());
        std::copy_n(from.begin(), count, to.begin());
        to = to.subspan(count);
        at += count;
    }
    return true;
}

}  // namespace doppel::stored_code
