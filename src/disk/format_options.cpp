#include "disk/format_options.h"

#include <functional>
#include <map>

#include "base/sizes.h"

namespace doppel::disk {

namespace {

using storage::Preallocation;
using storage::qcow2::Compression;
using Setter = std::function<Result<>(FormatOptions&, const std::string& name, const std::string& value)>;

Result<bool> parse_switch(const std::string& name, const std::string& value) {
    if (value == "on" || value == "true" || value == "yes") return true;
    if (value == "off" || value == "false" || value == "no") return false;
    return fail(Error::usage(name + "=" + value, "it is on or off"));
}

template <class Member>
Setter switch_of(Member member) {
    return [member](FormatOptions& options, const std::string& name, const std::string& value) -> Result<> {
        DOPPEL_TRY(options.qcow2.*member, parse_switch(name, value));
        return {};
    };
}

template <class Member>
Setter number_of(Member member) {
    return [member](FormatOptions& options, const std::string& name, const std::string& value) -> Result<> {
        DOPPEL_TRY(const uint64_t number, parse_size(value, name));
        if (number > UINT32_MAX) return fail(Error::usage(name + "=" + value, "it is too large"));
        options.qcow2.*member = static_cast<uint32_t>(number);
        return {};
    };
}

template <class Member>
Setter text_of(Member member) {
    return [member](FormatOptions& options, const std::string&, const std::string& value) -> Result<> {
        options.qcow2.*member = value;
        return {};
    };
}

Result<> set_version(FormatOptions& options, const std::string& name, const std::string& value) {
    if (value == "0.10" || value == "v2")
        options.qcow2.version = 2;
    else if (value == "1.1" || value == "v3")
        options.qcow2.version = 3;
    else
        return fail(Error::usage(name + "=" + value, "it is 1.1 (version 3) or 0.10 (version 2)"));
    return {};
}

Result<> set_compression(FormatOptions& options, const std::string& name, const std::string& value) {
    if (value != "zlib" && value != "zstd") return fail(Error::usage(name + "=" + value, "it is zlib or zstd"));
    options.qcow2.compression = value == "zstd" ? Compression::kZstd : Compression::kDeflate;
    return {};
}

const std::map<std::string, Setter>& setters() {
    using Create = storage::qcow2::CreateOptions;
    static const std::map<std::string, Setter> kSetters{
        {"compat", set_version},
        {"compression_type", set_compression},
        {"cluster_size", number_of(&Create::cluster_size)},
        {"refcount_bits", number_of(&Create::refcount_bits)},
        {"lazy_refcounts", switch_of(&Create::lazy_refcounts)},
        {"extended_l2", switch_of(&Create::extended_l2)},
        {"data_file_raw", switch_of(&Create::raw_data_file)},
        {"data_file", text_of(&Create::data_file)},
        {"backing_file", text_of(&Create::backing_file)},
        {"backing_fmt", text_of(&Create::backing_format)},
    };
    return kSetters;
}

Result<> set(FormatOptions& options, const std::string& text) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos) return fail(Error::usage("-o " + text, "its value is missing", "say NAME=VALUE"));
    const std::string name = text.substr(0, equals), value = text.substr(equals + 1);
    if (name == "preallocation") {
        DOPPEL_TRY(options.preallocation, parse_preallocation(value));
        return {};
    }
    const auto setter = setters().find(name);
    if (setter == setters().end())
        return fail(Error::usage("-o " + name, "no such option", std::string("there are ") + kFormatOptionsHelp));
    options.any_of_qcow2 = true;
    return setter->second(options, name, value);
}

}  // namespace

const char* const kFormatOptionsHelp =
    "compat, cluster_size, refcount_bits, lazy_refcounts, extended_l2, compression_type, data_file, data_file_raw, "
    "backing_file, backing_fmt, preallocation";

Result<Preallocation> parse_preallocation(const std::string& text) {
    if (text == "off") return Preallocation::kOff;
    if (text == "metadata") return Preallocation::kMetadata;
    if (text == "falloc") return Preallocation::kFalloc;
    if (text == "full") return Preallocation::kFull;
    return fail(Error::usage("preallocation=" + text, "it is off, metadata, falloc or full"));
}

Result<FormatOptions> parse_format_options(const std::vector<std::string>& lists) {
    FormatOptions options;
    for (const std::string& list : lists) {
        for (size_t at = 0; at <= list.size();) {
            size_t comma = list.find(',', at);
            if (comma == std::string::npos) comma = list.size();
            DOPPEL_CHECK(set(options, list.substr(at, comma - at)));
            at = comma + 1;
        }
    }
    return options;
}

}  // namespace doppel::disk
