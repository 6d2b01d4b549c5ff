#include "image/make/cpio.h"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>

namespace doppel::image {

struct CpioWriter::Entry {
    const std::string& path;
    unsigned type;
    unsigned mode;
    std::span<const uint8_t> content{};
    const char* target = nullptr;
    unsigned major = 0;
    unsigned minor = 0;
};

void CpioWriter::Free::operator()(archive* a) const {
    archive_write_free(a);
}

Error CpioWriter::error() const {
    int number = archive_ ? archive_errno(archive_.get()) : ENOMEM;
    return Error::system("write initrd", path_, number > 0 ? number : EIO);
}

Result<CpioWriter> CpioWriter::create(const std::filesystem::path& path) {
    CpioWriter writer(path);
    writer.archive_.reset(archive_write_new());
    if (!writer.archive_ || archive_write_set_format_cpio_newc(writer.archive_.get()) != ARCHIVE_OK ||
        archive_write_add_filter_none(writer.archive_.get()) != ARCHIVE_OK ||
        archive_write_open_filename(writer.archive_.get(), path.c_str()) != ARCHIVE_OK)
        return fail(writer.error());
    return writer;
}

Result<> CpioWriter::write(const Entry& entry) {
    std::unique_ptr<archive_entry, decltype(&archive_entry_free)> record(archive_entry_new(), archive_entry_free);
    if (!record) return fail(Error::system("write initrd", path_, ENOMEM));
    archive_entry_set_pathname(record.get(), entry.path.c_str());
    archive_entry_set_filetype(record.get(), entry.type);
    archive_entry_set_perm(record.get(), entry.mode);
    archive_entry_set_nlink(record.get(), 1);
    archive_entry_set_mtime(record.get(), 0, 0);
    archive_entry_set_size(record.get(), static_cast<int64_t>(entry.content.size()));
    if (entry.target) archive_entry_set_symlink(record.get(), entry.target);
    if (entry.type == AE_IFCHR) {
        archive_entry_set_rdevmajor(record.get(), entry.major);
        archive_entry_set_rdevminor(record.get(), entry.minor);
    }
    if (archive_write_header(archive_.get(), record.get()) != ARCHIVE_OK) return fail(error());
    if (entry.content.empty()) return {};
    la_ssize_t written = archive_write_data(archive_.get(), entry.content.data(), entry.content.size());
    if (written != static_cast<la_ssize_t>(entry.content.size())) return fail(error());
    return {};
}

Result<> CpioWriter::directory(const std::string& path, unsigned mode) {
    return write({.path = path, .type = AE_IFDIR, .mode = mode});
}

Result<> CpioWriter::file(const std::string& path, std::span<const uint8_t> content, unsigned mode) {
    return write({.path = path, .type = AE_IFREG, .mode = mode, .content = content});
}

Result<> CpioWriter::file(const std::string& path, std::string_view content, unsigned mode) {
    return file(path, std::span(reinterpret_cast<const uint8_t*>(content.data()), content.size()), mode);
}

Result<> CpioWriter::link(const std::string& path, const std::string& target) {
    return write({.path = path, .type = AE_IFLNK, .mode = 0777, .target = target.c_str()});
}

Result<> CpioWriter::character_device(const std::string& path, unsigned major, unsigned minor, unsigned mode) {
    return write({.path = path, .type = AE_IFCHR, .mode = mode, .major = major, .minor = minor});
}

Result<> CpioWriter::finish() {
    if (archive_write_close(archive_.get()) != ARCHIVE_OK) return fail(error());
    return {};
}

}  // namespace doppel::image
