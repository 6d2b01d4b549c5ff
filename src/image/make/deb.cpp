#include "image/make/deb.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <span>

#include "base/file.h"
#include "base/unique_fd.h"
#include "image/make/archive_member.h"

namespace doppel::image {

namespace {

std::string_view without_root(std::string_view path) {
    if (path.starts_with("./")) path.remove_prefix(2);
    while (path.starts_with('/')) path.remove_prefix(1);
    return path;
}

class Extraction {
  public:
    Extraction(const std::filesystem::path& deb, const StopRequest& stop, const DebLimits& limits)
        : deb_(deb), stop_(stop), limits_(limits) {}

    Result<std::optional<std::string>> run(const std::function<bool(std::string_view)>& wanted,
                                           const std::filesystem::path& destination) {
        DOPPEL_CHECK(open_data());
        DOPPEL_TRY(auto found, seek(wanted));
        if (found) DOPPEL_CHECK(write(destination));
        return found;
    }
    Result<std::map<std::string, std::vector<uint8_t>>> read_all(const std::function<bool(std::string_view)>& wanted) {
        std::map<std::string, std::vector<uint8_t>> files;
        DOPPEL_CHECK(open_data());
        while (true) {
            DOPPEL_TRY(auto found, seek(wanted));
            if (!found) return files;
            std::vector<uint8_t>& content = files[*found];
            content.clear();
            DOPPEL_CHECK(for_each_block([&](std::span<const uint8_t> block) -> Result<> {
                content.insert(content.end(), block.begin(), block.end());
                return {};
            }));
        }
    }
    Error not_in_it() const { return bad("the file that is needed is not in it").value(); }

  private:
    tl::unexpected<Error> bad(std::string why) const {
        return fail(Error{"unpack package", deb_, std::move(why), "download it again"});
    }
    std::string why(archive* a) const {
        const char* text = archive_error_string(a);
        return text ? text : "it is not a Debian package";
    }

    Result<> open_data() {
        outer_.reset(archive_read_new());
        inner_.reset(archive_read_new());
        if (!outer_ || !inner_) return bad("out of memory");
        archive_read_support_format_ar(outer_.get());
        if (archive_read_open_filename(outer_.get(), deb_.c_str(), kArchiveBlock) != ARCHIVE_OK)
            return bad(why(outer_.get()));
        archive_entry* entry = nullptr;
        int status;
        while ((status = archive_read_next_header(outer_.get(), &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
            const char* name = archive_entry_pathname(entry);
            if (name && std::string_view(name).starts_with("data.tar")) return open_tar();
        }
        return bad(status == ARCHIVE_EOF ? "it has no data.tar" : why(outer_.get()));
    }

    Result<> open_tar() {
        member_.outer = outer_.get();
        archive_read_support_format_tar(inner_.get());
        archive_read_support_filter_xz(inner_.get());
        archive_read_support_filter_zstd(inner_.get());
        archive_read_support_filter_gzip(inner_.get());
        if (archive_read_open(inner_.get(), &member_, nullptr, ArchiveMember::read, nullptr) != ARCHIVE_OK)
            return bad(why(inner_.get()));
        return {};
    }

    Result<std::optional<std::string>> seek(const std::function<bool(std::string_view)>& wanted) {
        archive_entry* entry = nullptr;
        int status;
        while ((status = archive_read_next_header(inner_.get(), &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
            if (stop_.asked()) return fail(StopRequest::error(deb_));
            if (archive_filter_bytes(inner_.get(), 0) > static_cast<int64_t>(limits_.passed))
                return bad("it unpacks to more than its size allows");
            const char* name = archive_entry_pathname(entry);
            if (!name || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) continue;
            if (!wanted(without_root(name))) continue;
            if (archive_entry_size(entry) > static_cast<int64_t>(limits_.file))
                return bad("the file in it is too large");
            return std::string(without_root(name));
        }
        if (status == ARCHIVE_EOF) return std::nullopt;
        return bad(why(inner_.get()));
    }

    Result<> write(const std::filesystem::path& destination) {
        UniqueFd file(::open(destination.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
        if (!file) return fail(Error::system("write file", destination, errno));
        auto written = copy_to(file.get(), destination);
        if (!written) ::unlink(destination.c_str());
        return written;
    }

    Result<> copy_to(int file, const std::filesystem::path& destination) {
        DOPPEL_CHECK(for_each_block([&](std::span<const uint8_t> block) -> Result<> {
            if (write_all(file, block)) return {};
            return fail(Error::system("write file", destination, errno));
        }));
        if (::fsync(file) != 0) return fail(Error::system("write file", destination, errno));
        return {};
    }

    // Of the file that `seek` found.
    template <class F>
    Result<> for_each_block(F take) {
        std::array<uint8_t, kArchiveBlock> block;
        uint64_t total = 0;
        la_ssize_t got;
        while ((got = archive_read_data(inner_.get(), block.data(), block.size())) > 0) {
            if (stop_.asked()) return fail(StopRequest::error(deb_));
            total += static_cast<uint64_t>(got);
            if (total > limits_.file) return bad("the file in it is too large");
            DOPPEL_CHECK(take(std::span<const uint8_t>(block).first(static_cast<size_t>(got))));
        }
        if (got < 0) return bad(why(inner_.get()));
        return {};
    }

    const std::filesystem::path& deb_;
    const StopRequest& stop_;
    const DebLimits& limits_;
    ArchiveMember member_{};
    ReadArchive outer_;  // the inner archive reads from it
    ReadArchive inner_;
};

}  // namespace

Result<std::string> extract_from_deb(const std::filesystem::path& deb,
                                     const std::function<bool(std::string_view)>& wanted,
                                     const std::filesystem::path& destination, const StopRequest& stop,
                                     const DebLimits& limits) {
    auto extraction = std::make_unique<Extraction>(deb, stop, limits);
    DOPPEL_TRY(auto found, extraction->run(wanted, destination));
    if (!found) return fail(extraction->not_in_it());
    return std::move(*found);
}

Result<std::map<std::string, std::vector<uint8_t>>> read_from_deb(const std::filesystem::path& deb,
                                                                  const std::function<bool(std::string_view)>& wanted,
                                                                  const StopRequest& stop, const DebLimits& limits) {
    return std::make_unique<Extraction>(deb, stop, limits)->read_all(wanted);
}

}  // namespace doppel::image
