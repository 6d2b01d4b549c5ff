#include "image/make/debian/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

#include "base/file.h"
#include "image/make/archive_member.h"

namespace doppel::image {
namespace {

constexpr uint64_t kControlLimit = 16 << 20;      // bytes of a member of the control archive
constexpr uint64_t kUnpackedLimit = 16ull << 30;  // bytes of a package
constexpr uint32_t kOwnBits = 0777, kAllBits = 07777;

bool is_plain(std::string_view path) {
    return std::ranges::none_of(path, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string inside(const char* path) {
    std::string_view text(path ? path : "");
    if (text.starts_with("./")) text.remove_prefix(2);
    while (text.starts_with('/')) text.remove_prefix(1);
    while (text.ends_with('/')) text.remove_suffix(1);
    return text == "." ? std::string() : std::string(text);
}

class Unpacking {
  public:
    Unpacking(const std::filesystem::path& deb, TreeWriter& tree, std::vector<Attributes>& attributes,
              const StopRequest& stop)
        : deb_(deb), tree_(tree), attributes_(attributes), stop_(stop), member_(std::make_unique<ArchiveMember>()) {}

    Result<UnpackedPackage> run() {
        outer_.reset(archive_read_new());
        if (!outer_) return bad("out of memory");
        archive_read_support_format_ar(outer_.get());
        if (archive_read_open_filename(outer_.get(), deb_.c_str(), kArchiveBlock) != ARCHIVE_OK)
            return bad(why(outer_.get()));
        archive_entry* entry = nullptr;
        bool has_data = false;
        int status;
        while ((status = archive_read_next_header(outer_.get(), &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
            const std::string name = inside(archive_entry_pathname(entry));
            if (name.starts_with("control.tar"))
                DOPPEL_CHECK(open_tar([this](archive_entry* e) { return control(e); }));
            if (name.starts_with("data.tar")) {
                DOPPEL_CHECK(open_tar([this](archive_entry* e) { return data(e); }));
                has_data = true;
            }
        }
        if (status != ARCHIVE_EOF) return bad(why(outer_.get()));
        if (!has_data || !package_.control.contains("control")) return bad("it lacks its data or its control archive");
        return std::move(package_);
    }

  private:
    tl::unexpected<Error> bad(std::string why) const {
        return fail(Error{"unpack package", deb_, std::move(why), "download it again"});
    }
    std::string why(archive* a) const {
        const char* text = archive_error_string(a);
        return text ? text : "it is not a Debian package";
    }

    template <class F>
    Result<> open_tar(F each) {
        inner_.reset(archive_read_new());
        if (!inner_) return bad("out of memory");
        member_->outer = outer_.get();
        archive_read_support_format_tar(inner_.get());
        archive_read_support_filter_xz(inner_.get());
        archive_read_support_filter_zstd(inner_.get());
        archive_read_support_filter_gzip(inner_.get());
        if (archive_read_open(inner_.get(), member_.get(), nullptr, ArchiveMember::read, nullptr) != ARCHIVE_OK)
            return bad(why(inner_.get()));
        archive_entry* entry = nullptr;
        int status;
        while ((status = archive_read_next_header(inner_.get(), &entry)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
            if (stop_.asked()) return fail(StopRequest::error(deb_));
            if (archive_filter_bytes(inner_.get(), 0) > static_cast<int64_t>(kUnpackedLimit))
                return bad("it unpacks to more than a package may");
            DOPPEL_CHECK(each(entry));
        }
        if (status != ARCHIVE_EOF) return bad(why(inner_.get()));
        return {};
    }

    Result<> control(archive_entry* entry) {
        if (archive_entry_filetype(entry) != AE_IFREG) return {};
        const std::string name = inside(archive_entry_pathname(entry));
        const int64_t size = archive_entry_size(entry);
        if (name.find('/') != name.npos || !is_plain(name) || size < 0 || size > static_cast<int64_t>(kControlLimit))
            return bad("its control archive is wrong");
        std::string content(static_cast<size_t>(size), '\0');
        if (archive_read_data(inner_.get(), content.data(), content.size()) != size) return bad(why(inner_.get()));
        package_.control[name] = std::move(content);
        return {};
    }

    Result<> data(archive_entry* entry) {
        const std::string path = inside(archive_entry_pathname(entry));
        if (!is_plain(path)) return bad("a name in it has control characters");
        package_.paths.push_back(path.empty() ? "/." : "/" + path);
        if (path.empty()) return {};
        const auto type = archive_entry_filetype(entry);
        if (archive_entry_hardlink(entry)) return tree_.hard_link(path, inside(archive_entry_hardlink(entry)));
        if (type == AE_IFLNK) {
            const char* target = archive_entry_symlink(entry);
            return target ? tree_.symbolic_link(path, target) : bad("a link in it leads nowhere");
        }
        const uint32_t mode = archive_entry_perm(entry) & kAllBits;
        const uint32_t kept = (mode & kOwnBits) | (type == AE_IFDIR ? 0700 : 0400);
        const auto uid = static_cast<uint32_t>(archive_entry_uid(entry));
        const auto gid = static_cast<uint32_t>(archive_entry_gid(entry));
        if (uid != 0 || gid != 0 || kept != mode) attributes_.push_back({path, uid, gid, mode});
        if (type == AE_IFDIR) return tree_.directory(path, kept);
        if (type != AE_IFREG) return bad("a device is in it: " + path);
        return file(path, kept, archive_entry_mtime(entry));
    }

    Result<> file(const std::string& path, uint32_t mode, time_t time) {
        DOPPEL_TRY(const UniqueFd file, tree_.create(path, mode));
        la_ssize_t got;
        while ((got = archive_read_data(inner_.get(), block_.data(), block_.size())) > 0) {
            if (stop_.asked()) return fail(StopRequest::error(deb_));
            if (!write_all(file.get(), std::span<const uint8_t>(block_).first(static_cast<size_t>(got))))
                return fail(Error::system("unpack package", tree_.root() / path, errno));
        }
        if (got < 0) return bad(why(inner_.get()));
        const timespec times[2] = {{.tv_sec = time, .tv_nsec = 0}, {.tv_sec = time, .tv_nsec = 0}};
        ::futimens(file.get(), times);
        return {};
    }

    const std::filesystem::path& deb_;
    TreeWriter& tree_;
    std::vector<Attributes>& attributes_;
    const StopRequest& stop_;
    UnpackedPackage package_;
    std::unique_ptr<ArchiveMember> member_;
    std::array<uint8_t, kArchiveBlock> block_;
    ReadArchive outer_;  // the inner archive reads from it
    ReadArchive inner_;
};

}  // namespace

Result<UnpackedPackage> unpack_deb(const std::filesystem::path& deb, TreeWriter& tree,
                                   std::vector<Attributes>& attributes, const StopRequest& stop) {
    return std::make_unique<Unpacking>(deb, tree, attributes, stop)->run();
}

}  // namespace doppel::image
