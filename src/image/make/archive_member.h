// Archives within archives, as Debian's packages are, read by libarchive.
#pragma once

#include <archive.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace doppel::image {

inline constexpr size_t kArchiveBlock = 64 * 1024;  // bytes at once

struct FreeArchive {
    void operator()(archive* a) const { archive_read_free(a); }
};
using ReadArchive = std::unique_ptr<archive, FreeArchive>;

// The outer archive's present member, as what an inner archive reads: the client data of `read`.
struct ArchiveMember {
    archive* outer;
    std::array<uint8_t, kArchiveBlock> block;

    static la_ssize_t read(archive*, void* self, const void** data) {
        auto* member = static_cast<ArchiveMember*>(self);
        *data = member->block.data();
        return archive_read_data(member->outer, member->block.data(), member->block.size());
    }
};

}  // namespace doppel::image
