#include "storage/qcow2/header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <set>

#include "base/byte_order.h"

namespace doppel::storage::qcow2 {

namespace {

Error damaged(const std::string& path, std::string why) {
    return {"open qcow2 disk", path, std::move(why), "check that it is the right file"};
}

// The name that the image itself gives a feature which this program does not know.
std::string feature_name(std::span<const Extension> extensions, uint8_t kind, unsigned bit) {
    constexpr size_t kEntry = 48;
    for (const Extension& one : extensions) {
        if (one.type != extension::kFeatureNames) continue;
        for (size_t at = 0; at + kEntry <= one.data.size(); at += kEntry) {
            if (one.data[at] != kind || one.data[at + 1] != bit) continue;
            const auto* name = reinterpret_cast<const char*>(&one.data[at + 2]);
            return printable(std::string(name, std::find(name, name + kEntry - 2, '\0')));
        }
    }
    return fmt::format("number {}", bit);
}

class Parser {
  public:
    Parser(std::span<const uint8_t> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

    Result<Header> parse() {
        if (!is_qcow2(bytes_)) return fail(damaged(path_, "it is no qcow2 file"));
        DOPPEL_CHECK(fields());
        DOPPEL_CHECK(extensions());
        DOPPEL_CHECK(backing_name());
        DOPPEL_CHECK(features());
        DOPPEL_CHECK(limits());
        return std::move(header_);
    }

  private:
    uint32_t u32(size_t at) const { return load_be<uint32_t>(&bytes_[at]); }
    uint64_t u64(size_t at) const { return load_be<uint64_t>(&bytes_[at]); }

    Result<> fields() {
        if (bytes_.size() < kHeaderSizeV2) return fail(damaged(path_, "its header is cut off"));
        Header& h = header_;
        h.version = u32(4);
        if (h.version != 2 && h.version != 3)
            return fail(damaged(path_, fmt::format("qcow2 version {} is not known", h.version)));
        h.geometry.cluster_bits = u32(20);
        if (h.geometry.cluster_bits < kMinClusterBits || h.geometry.cluster_bits > kMaxClusterBits)
            return fail(damaged(
                path_, fmt::format("its clusters have 2^{} bytes; 2^9 to 2^21 can be read", h.geometry.cluster_bits)));
        h.backing_name_offset = u64(8);
        h.backing_name_size = u32(16);
        h.size = u64(24);
        h.crypt_method = u32(32);
        h.l1_entries = u32(36);
        h.l1_offset = u64(40);
        h.refcount_table_offset = u64(48);
        h.refcount_table_clusters = u32(56);
        h.snapshots = u32(60);
        h.snapshots_offset = u64(64);
        h.header_size = kHeaderSizeV2;
        return h.version == 2 ? Result<>{} : newer_fields();
    }

    Result<> newer_fields() {
        if (bytes_.size() < kHeaderSizeV3) return fail(damaged(path_, "its header is cut off"));
        Header& h = header_;
        h.incompatible = u64(72);
        h.compatible = u64(80);
        h.autoclear = u64(88);
        h.geometry.refcount_order = u32(96);
        h.header_size = u32(100);
        if (h.header_size < kHeaderSizeV3 || h.header_size % 8 != 0 || h.header_size > bytes_.size() ||
            h.header_size > h.geometry.cluster_size())
            return fail(damaged(path_, fmt::format("its header cannot have {} bytes", h.header_size)));
        if (h.geometry.refcount_order > 6) return fail(damaged(path_, "its refcounts are wider than 64 bits"));
        uint8_t type = 0;
        if (h.header_size > kHeaderSizeV3) {
            type = bytes_[kHeaderSizeV3];
            h.unknown_fields.assign(bytes_.begin() + kHeaderSizeV3 + 1, bytes_.begin() + h.header_size);
        }
        if (type > static_cast<uint8_t>(Compression::kZstd))
            return fail(damaged(path_, fmt::format("compression type {} is not known", type)));
        h.compression = static_cast<Compression>(type);
        return {};
    }

    Result<> extensions() {
        const size_t end = std::min<size_t>(bytes_.size(), header_.geometry.cluster_size());
        std::set<uint32_t> seen;
        size_t at = header_.header_size;
        while (at + 8 <= end) {
            const uint32_t type = u32(at), length = u32(at + 4);
            if (type == extension::kEnd) return {};
            at += 8;
            if (length > end - at) return fail(damaged(path_, "a header extension is longer than the header"));
            if (!seen.insert(type).second) return fail(damaged(path_, "a header extension is there twice"));
            DOPPEL_CHECK(take(type, bytes_.subspan(at, length)));
            at += (length + 7) / 8 * 8;
        }
        return {};
    }

    Result<> take(uint32_t type, std::span<const uint8_t> data) {
        const std::string text(data.begin(), data.end());
        if (type == extension::kBackingFormat) {
            header_.backing_format = text;
        } else if (type == extension::kDataFile) {
            header_.data_file = text;
        } else if (type == extension::kBitmaps) {
            if (data.size() < 24) return fail(damaged(path_, "its bitmaps extension is cut off"));
            header_.bitmaps = {load_be<uint32_t>(&data[0]), load_be<uint64_t>(&data[8]), load_be<uint64_t>(&data[16])};
        } else {
            header_.other_extensions.push_back({type, {data.begin(), data.end()}});
        }
        return {};
    }

    Result<> backing_name() {
        const uint64_t offset = u64(8);
        if (offset == 0) return {};
        const uint32_t length = u32(16);
        const size_t end = std::min<size_t>(bytes_.size(), header_.geometry.cluster_size());
        if (length > kMaxBackingName || offset > end || length > end - offset)
            return fail(damaged(path_, "the name of its backing file does not lie in the header"));
        if (length > 0)
            header_.backing_file = std::string(bytes_.begin() + static_cast<std::ptrdiff_t>(offset),
                                               bytes_.begin() + static_cast<std::ptrdiff_t>(offset + length));
        return {};
    }

    Result<> features() {
        Header& h = header_;
        if (h.crypt_method == 1 || h.crypt_method == 2)
            return fail(Error{"open qcow2 disk", path_,
                              h.crypt_method == 2 ? "it is encrypted with LUKS" : "it is encrypted with AES",
                              "doppel has no keys: decrypt it with qemu-img convert first"});
        if (h.crypt_method != 0) return fail(damaged(path_, "its encryption is not known"));
        if (const uint64_t unknown = h.incompatible & ~incompatible::kKnown; unknown != 0)
            return fail(Error{"open qcow2 disk", path_,
                              "it uses a feature that doppel does not know: " +
                                  feature_name(h.other_extensions, 0, static_cast<unsigned>(std::countr_zero(unknown))),
                              "convert it with the program that made it"});
        if (h.has(incompatible::kCompressionType) != (h.compression != Compression::kDeflate))
            return fail(damaged(path_, "its compression type and its features disagree"));
        h.geometry.extended = h.has(incompatible::kExtendedL2);
        if (h.geometry.extended && h.geometry.cluster_bits < kMinExtendedClusterBits)
            return fail(damaged(path_, "its clusters are too small for extended L2 entries"));
        if ((h.autoclear & autoclear::kRawExternal) != 0 && (!h.external() || h.backing_file))
            return fail(damaged(path_, "its features contradict each other (raw external data)"));
        if ((h.autoclear & autoclear::kBitmaps) != 0 && !h.bitmaps)
            return fail(damaged(path_, "it should have bitmaps, but has none"));
        return {};
    }

    Result<> limits() {
        const Header& h = header_;
        const Geometry& g = h.geometry;
        auto table = [&](uint64_t offset, const char* what) -> Result<> {
            if (g.offset_in_cluster(offset) != 0 || offset > INT64_MAX)
                return fail(damaged(path_, std::string(what) + " is at no valid place"));
            return {};
        };
        DOPPEL_CHECK(table(h.l1_offset, "its L1 table"));
        DOPPEL_CHECK(table(h.refcount_table_offset, "its refcount table"));
        DOPPEL_CHECK(table(h.snapshots_offset, "its snapshot table"));
        if (h.l1_entries > kMaxL1Bytes / 8) return fail(damaged(path_, "its L1 table is larger than 32 MiB"));
        if (h.size > INT64_MAX || g.l1_entries(h.size) > h.l1_entries)
            return fail(damaged(path_, fmt::format("its L1 table is too small for {} bytes", h.size)));
        if (h.refcount_table_clusters > kMaxRefcountTableBytes >> g.cluster_bits || h.refcount_table_clusters == 0)
            return fail(damaged(path_, "its refcount table is empty or larger than 8 MiB"));
        if (h.refcount_table_offset == 0 || (h.l1_offset == 0 && h.l1_entries != 0))
            return fail(damaged(path_, "its tables lie where its header is"));
        if (h.snapshots > kMaxSnapshots)
            return fail(damaged(path_, fmt::format("it has {} snapshots, more than {}", h.snapshots, kMaxSnapshots)));
        return {};
    }

    std::span<const uint8_t> bytes_;
    const std::string& path_;
    Header header_;
};

void append_extension(std::vector<uint8_t>& to, uint32_t type, std::span<const uint8_t> data) {
    const size_t at = to.size();
    to.resize(at + 8 + (data.size() + 7) / 8 * 8);
    store_be<uint32_t>(&to[at], type);
    store_be<uint32_t>(&to[at + 4], static_cast<uint32_t>(data.size()));
    std::ranges::copy(data, to.begin() + static_cast<std::ptrdiff_t>(at + 8));
}

void append_extension(std::vector<uint8_t>& to, uint32_t type, const std::string& text) {
    append_extension(to, type, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

std::vector<uint8_t> feature_names() {
    struct Name {
        uint8_t kind, bit;
        std::string_view name;
    };
    constexpr std::array kNames{
        Name{0, 0, "dirty bit"},        Name{0, 1, "corrupt bit"},         Name{0, 2, "external data file"},
        Name{0, 3, "compression type"}, Name{0, 4, "extended L2 entries"}, Name{1, 0, "lazy refcounts"},
        Name{2, 0, "bitmaps"},          Name{2, 1, "raw external data"}};
    std::vector<uint8_t> bytes(kNames.size() * 48);
    for (size_t i = 0; i < kNames.size(); i++) {
        bytes[i * 48] = kNames[i].kind;
        bytes[i * 48 + 1] = kNames[i].bit;
        std::ranges::copy(kNames[i].name, bytes.begin() + static_cast<std::ptrdiff_t>(i * 48 + 2));
    }
    return bytes;
}

void append_extensions(std::vector<uint8_t>& to, const Header& h) {
    if (h.backing_format) append_extension(to, extension::kBackingFormat, *h.backing_format);
    if (h.version == 3) {
        if (h.data_file) append_extension(to, extension::kDataFile, *h.data_file);
        if (h.bitmaps) {
            std::array<uint8_t, 24> data{};
            store_be<uint32_t>(&data[0], h.bitmaps->count);
            store_be<uint64_t>(&data[8], h.bitmaps->directory_size);
            store_be<uint64_t>(&data[16], h.bitmaps->directory_offset);
            append_extension(to, extension::kBitmaps, data);
        }
    }
    bool named = false;
    for (const Extension& one : h.other_extensions) {
        append_extension(to, one.type, one.data);
        named = named || one.type == extension::kFeatureNames;
    }
    // The smallest clusters have no room for them.
    if (h.version == 3 && !named && h.geometry.cluster_size() >= 2048)
        append_extension(to, extension::kFeatureNames, feature_names());
    append_extension(to, extension::kEnd, std::span<const uint8_t>{});
}

}  // namespace

bool is_qcow2(std::span<const uint8_t> beginning) {
    return beginning.size() >= 8 && load_be<uint32_t>(beginning.data()) == kMagic;
}

Result<Header> parse_header(std::span<const uint8_t> beginning, const std::string& path) {
    return Parser(beginning, path).parse();
}

namespace {

std::vector<uint8_t> encode_fields(const Header& h) {
    std::vector<uint8_t> bytes(h.version == 2 ? kHeaderSizeV2 : h.header_size);
    store_be<uint32_t>(&bytes[0], kMagic);
    store_be<uint32_t>(&bytes[4], h.version);
    store_be<uint64_t>(&bytes[8], h.backing_name_offset);
    store_be<uint32_t>(&bytes[16], h.backing_name_size);
    store_be<uint32_t>(&bytes[20], h.geometry.cluster_bits);
    store_be<uint64_t>(&bytes[24], h.size);
    store_be<uint32_t>(&bytes[32], h.crypt_method);
    store_be<uint32_t>(&bytes[36], h.l1_entries);
    store_be<uint64_t>(&bytes[40], h.l1_offset);
    store_be<uint64_t>(&bytes[48], h.refcount_table_offset);
    store_be<uint32_t>(&bytes[56], h.refcount_table_clusters);
    store_be<uint32_t>(&bytes[60], h.snapshots);
    store_be<uint64_t>(&bytes[64], h.snapshots_offset);
    if (h.version == 2) return bytes;
    store_be<uint64_t>(&bytes[72], h.incompatible);
    store_be<uint64_t>(&bytes[80], h.compatible);
    store_be<uint64_t>(&bytes[88], h.autoclear);
    store_be<uint32_t>(&bytes[96], h.geometry.refcount_order);
    store_be<uint32_t>(&bytes[100], h.header_size);
    if (h.header_size > kHeaderSizeV3) {
        bytes[kHeaderSizeV3] = static_cast<uint8_t>(h.compression);
        std::ranges::copy(h.unknown_fields, bytes.begin() + kHeaderSizeV3 + 1);
    }
    return bytes;
}

}  // namespace

std::vector<uint8_t> encode_changing_fields(const Header& header) {
    std::vector<uint8_t> bytes = encode_fields(header);
    if (bytes.size() > kHeaderSizeV3) bytes.resize(kHeaderSizeV3);
    return bytes;
}

Result<std::vector<uint8_t>> encode_header(const Header& h, const std::string& path) {
    std::vector<uint8_t> bytes = encode_fields(h);
    append_extensions(bytes, h);
    store_be<uint64_t>(&bytes[8], 0);
    store_be<uint32_t>(&bytes[16], 0);
    if (h.backing_file) {
        store_be<uint64_t>(&bytes[8], bytes.size());
        store_be<uint32_t>(&bytes[16], static_cast<uint32_t>(h.backing_file->size()));
        bytes.insert(bytes.end(), h.backing_file->begin(), h.backing_file->end());
    }
    if (bytes.size() > h.geometry.cluster_size() || (h.backing_file && h.backing_file->size() > kMaxBackingName))
        return fail(Error{"write qcow2 header", path, "the name of its backing file does not fit in",
                          "give it a shorter name, or the disk larger clusters"});
    bytes.resize(h.geometry.cluster_size());
    return bytes;
}

}  // namespace doppel::storage::qcow2
