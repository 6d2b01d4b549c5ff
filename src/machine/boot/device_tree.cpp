#include "machine/boot/device_tree.h"

#include <fmt/format.h>
#include <libfdt.h>

#include <algorithm>
#include <cstring>

#include "base/byte_order.h"

namespace doppel::machine::boot {

namespace {

constexpr size_t kFirstSize = 16 << 10;
constexpr size_t kLargestSize = 2 << 20;  // arm64 Linux takes no more (its Documentation/arch/arm64/booting.rst)

// Devicetree Specification 0.4, tables 2.1 and 2.2. Their limit of 31 characters is not kept: Linux bindings exceed it.
bool is_name(std::string_view name, std::string_view punctuation) {
    return !name.empty() && std::ranges::all_of(name, [punctuation](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               punctuation.find(c) != std::string_view::npos;
    });
}

template <class T>
void append_be(std::vector<uint8_t>& bytes, T value) {
    bytes.resize(bytes.size() + sizeof value);
    store_be(bytes.data() + bytes.size() - sizeof value, value);
}

// The stringlist encoding: each string with its NUL.
void append_string(std::vector<uint8_t>& bytes, std::string_view value) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    bytes.push_back(0);
}

}  // namespace

DeviceTreeBuilder::DeviceTreeBuilder() : blob_(kFirstSize) {
    write("/", [this](void* blob) { return fdt_create(blob, static_cast<int>(blob_.size())); });
    write("/", [](void* blob) { return fdt_finish_reservemap(blob); });
    write("/", [](void* blob) { return fdt_begin_node(blob, ""); });
    open_.push_back({"", false, {}, {}});
}

void DeviceTreeBuilder::mistake(std::string_view subject, std::string why) {
    if (error_) return;
    const std::string path = open_.empty() ? std::string() : open_.back().path;
    error_ = Error{"write device tree", fmt::format("{}/{}", path, subject), std::move(why), ""};
}

void DeviceTreeBuilder::write(std::string_view subject, const std::function<int(void*)>& call) {
    while (!error_) {
        const int status = call(blob_.data());
        if (status == 0) return;
        if (status != -FDT_ERR_NOSPACE) return mistake(subject, fdt_strerror(status));
        if (blob_.size() >= kLargestSize)
            return mistake(subject, fmt::format("the tree exceeds {} MiB", kLargestSize >> 20));
        std::vector<uint8_t> larger(blob_.size() * 2);
        if (const int moved = fdt_resize(blob_.data(), larger.data(), static_cast<int>(larger.size())); moved != 0) {
            return mistake(subject, fdt_strerror(moved));
        }
        blob_ = std::move(larger);
    }
}

void DeviceTreeBuilder::begin_node(std::string_view name) {
    if (open_.empty()) return mistake(name, "a node behind the end of the root node");
    if (!is_name(name, ",._+-@")) mistake(name, "is not a node name");
    const std::string text(name);
    if (!open_.back().children.insert(text).second) mistake(name, "the node is there already");
    open_.back().has_children = true;
    write(name, [&text](void* blob) { return fdt_begin_node(blob, text.c_str()); });
    open_.push_back({open_.back().path + "/" + text, false, {}, {}});
}

void DeviceTreeBuilder::end_node() {
    if (open_.size() < 2) return mistake("", "no node is open");  // the root node is finish()'s
    write("", [](void* blob) { return fdt_end_node(blob); });
    open_.pop_back();
}

void DeviceTreeBuilder::property_bytes(std::string_view name, std::span<const uint8_t> value) {
    if (open_.empty()) return mistake(name, "a property behind the end of the root node");
    if (!is_name(name, ",._+-?#")) mistake(name, "is not a property name");
    const std::string text(name);
    if (open_.back().has_children) mistake(name, "the property stands behind a child node");
    if (!open_.back().properties.insert(text).second) mistake(name, "the property is there already");
    if (value.size() > kLargestSize) mistake(name, "the value is too large");
    write(name, [&text, value](void* blob) {
        void* place = nullptr;
        const int status = fdt_property_placeholder(blob, text.c_str(), static_cast<int>(value.size()), &place);
        if (status == 0 && !value.empty()) std::memcpy(place, value.data(), value.size());
        return status;
    });
}

void DeviceTreeBuilder::property_empty(std::string_view name) {
    property_bytes(name, {});
}

void DeviceTreeBuilder::property_u32(std::string_view name, uint32_t value) {
    if (name == "phandle" && (value == 0 || value == UINT32_MAX || !phandles_.insert(value).second)) {
        mistake(name, fmt::format("the phandle {} is reserved or in use already", value));
    }
    property_cells(name, {value});
}

void DeviceTreeBuilder::property_u64(std::string_view name, uint64_t value) {
    property_u64s(name, {value});
}

void DeviceTreeBuilder::property_cells(std::string_view name, std::span<const uint32_t> cells) {
    std::vector<uint8_t> bytes;
    for (const uint32_t cell : cells) append_be(bytes, cell);
    property_bytes(name, bytes);
}

void DeviceTreeBuilder::property_cells(std::string_view name, std::initializer_list<uint32_t> cells) {
    property_cells(name, std::span(cells.begin(), cells.size()));
}

void DeviceTreeBuilder::property_u64s(std::string_view name, std::initializer_list<uint64_t> values) {
    std::vector<uint8_t> bytes;
    for (const uint64_t value : values) append_be(bytes, value);
    property_bytes(name, bytes);
}

void DeviceTreeBuilder::property_string(std::string_view name, std::string_view value) {
    property_strings(name, {value});
}

void DeviceTreeBuilder::property_strings(std::string_view name, std::span<const std::string> values) {
    std::vector<uint8_t> bytes;
    for (const std::string& value : values) append_string(bytes, value);
    property_bytes(name, bytes);
}

void DeviceTreeBuilder::property_strings(std::string_view name, std::initializer_list<std::string_view> values) {
    std::vector<uint8_t> bytes;
    for (const std::string_view value : values) append_string(bytes, value);
    property_bytes(name, bytes);
}

Result<std::vector<uint8_t>> DeviceTreeBuilder::finish() {
    if (open_.size() > 1) mistake("", "the node is still open");
    if (open_.empty()) mistake("", "the tree is finished already");
    write("", [](void* blob) { return fdt_end_node(blob); });
    write("", [](void* blob) { return fdt_finish(blob); });
    open_.clear();
    if (error_) return fail(*error_);
    blob_.resize(fdt_totalsize(blob_.data()));
    return std::move(blob_);
}

}  // namespace doppel::machine::boot
