// For tests and fuzzers: packages that dpkg would refuse to build.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::image {

struct TarEntry {
    std::string path;
    std::string content;
    unsigned type = AE_IFREG;
    std::string target{};  // of a symbolic link
    unsigned mode = 0644;
    int64_t uid = 0, gid = 0;
};

// `compress`: archive_write_add_filter_xz and its like.
inline std::string build_tar(const std::vector<TarEntry>& entries,
                             int (*compress)(archive*) = archive_write_add_filter_xz) {
    std::string bytes(1 << 20, '\0');
    size_t used = 0;
    archive* tar = archive_write_new();
    archive_write_set_format_gnutar(tar);
    compress(tar);
    archive_write_open_memory(tar, bytes.data(), bytes.size(), &used);
    for (const auto& one : entries) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, one.path.c_str());
        archive_entry_set_filetype(entry, one.type);
        archive_entry_set_perm(entry, one.mode);
        archive_entry_set_uid(entry, one.uid);
        archive_entry_set_gid(entry, one.gid);
        if (one.type == AE_IFREG) archive_entry_set_size(entry, static_cast<int64_t>(one.content.size()));
        if (!one.target.empty()) archive_entry_set_symlink(entry, one.target.c_str());
        archive_write_header(tar, entry);
        if (one.type == AE_IFREG) archive_write_data(tar, one.content.data(), one.content.size());
        archive_entry_free(entry);
    }
    archive_write_close(tar);
    archive_write_free(tar);
    bytes.resize(used);
    return bytes;
}

// deb(5): an ar archive of debian-binary, control.tar and data.tar, here without control.tar unless there is one.
inline std::string build_deb(std::string_view data, std::string_view data_name = "data.tar.xz",
                             std::string_view control = {}) {
    std::string bytes = "!<arch>\n";
    auto member = [&](std::string_view name, std::string_view content) {
        char header[61];
        std::snprintf(header, sizeof header, "%-16.*s%-12d%-6d%-6d%-8o%-10zu`\n", static_cast<int>(name.size()),
                      name.data(), 0, 0, 0, 0100644u, content.size());
        bytes += header;
        bytes += content;
        if (content.size() % 2) bytes += '\n';
    };
    member("debian-binary", "2.0\n");
    if (!control.empty()) member("control.tar.xz", control);
    member(data_name, data);
    return bytes;
}

}  // namespace doppel::image
