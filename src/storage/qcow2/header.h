// The first cluster of a qcow2 file: header, header extensions, name of the backing file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/qcow2/format.h"

namespace doppel::storage::qcow2 {

struct Extension {
    uint32_t type;
    std::vector<uint8_t> data;
};

struct BitmapsExtension {
    uint32_t count = 0;
    uint64_t directory_size = 0;  // bytes
    uint64_t directory_offset = 0;
};

struct Header {
    uint32_t version = 3;
    uint64_t size = 0;
    Geometry geometry;  // `extended` and refcount_order as the features and fields say
    uint32_t crypt_method = 0;
    uint32_t l1_entries = 0;
    uint64_t l1_offset = 0;
    uint64_t refcount_table_offset = 0;
    uint32_t refcount_table_clusters = 0;
    uint32_t snapshots = 0;
    uint64_t snapshots_offset = 0;
    uint64_t incompatible = 0, compatible = 0, autoclear = 0;
    uint32_t header_size = kHeaderSizeV3;
    Compression compression = Compression::kDeflate;
    std::vector<uint8_t> unknown_fields;  // behind the fields that are known, kept as they are
    uint64_t backing_name_offset = 0;     // as they stand in the file
    uint32_t backing_name_size = 0;
    std::optional<std::string> backing_file, backing_format, data_file;
    std::optional<BitmapsExtension> bitmaps;
    std::vector<Extension> other_extensions;  // kept as they are

    bool has(uint64_t incompatible_feature) const { return (incompatible & incompatible_feature) != 0; }
    bool lazy_refcounts() const { return (compatible & compatible::kLazyRefcounts) != 0; }
    bool external() const { return has(incompatible::kExternalData); }
    bool raw_external() const { return external() && (autoclear & autoclear::kRawExternal) != 0; }
};

bool is_qcow2(std::span<const uint8_t> beginning);

// `beginning` is the file's first cluster, or as much as there is (2 MiB hold every first cluster). Tables' offsets are
// checked for alignment and sizes for the limits above; whether they lie in the file is their readers' question.
Result<Header> parse_header(std::span<const uint8_t> beginning, const std::string& path);

// The whole first cluster. An error where the names and extensions do not fit. Extensions and feature names are written
// for version 3 only, backing formats for both.
Result<std::vector<uint8_t>> encode_header(const Header& header, const std::string& path);

// The beginning of the header, inside one sector: all that changes while an image is in use.
std::vector<uint8_t> encode_changing_fields(const Header& header);

}  // namespace doppel::storage::qcow2
