#include "machine/flash_bank.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/sizes.h"

namespace doppel::machine {

namespace {

constexpr char kPurpose[] = "read flash";

struct OpenFile {
    UniqueFd file;
    uint64_t length;
};

Result<OpenFile> open_file(const std::string& path, bool writable, uint64_t bank_size) {
    // Opening a FIFO would wait for its writer. With O_DSYNC what was written is on the disk.
    const int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (writable ? O_RDWR | O_DSYNC : O_RDONLY);
    OpenFile open{UniqueFd(::open(path.c_str(), flags)), 0};
    if (!open.file) {
        Error error = Error::system(kPurpose, path, errno);
        if (writable && (errno == EACCES || errno == EROFS)) error.cure = "give it as --flash FILE,ro to only read it";
        return fail(std::move(error));
    }
    struct stat status {};
    if (::fstat(open.file.get(), &status) != 0) return fail(Error::system(kPurpose, path, errno));
    if (!S_ISREG(status.st_mode)) return fail(Error{kPurpose, path, "it is not a regular file", "name a file"});
    open.length = static_cast<uint64_t>(status.st_size);
    if (open.length > bank_size) {
        return fail(
            Error{kPurpose, path,
                  fmt::format("it has {} bytes, more than the {} of the flash", open.length, format_size(bank_size)),
                  "give an image that was made for it"});
    }
    if (writable && ::flock(open.file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return fail(Error::system(kPurpose, path, errno));
        return fail(Error{kPurpose, path, "another machine writes to it", "give each machine a copy of its own"});
    }
    return open;
}

// Less than `length` bytes when somebody has cut the file meanwhile: the rest counts as erased.
Result<> read_into(uint8_t* to, const OpenFile& open, const std::string& path) {
    for (uint64_t done = 0; done < open.length;) {
        const ssize_t got = ::pread(open.file.get(), to + done, open.length - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Error::system(kPurpose, path, errno));
        if (got == 0) break;
        done += static_cast<uint64_t>(got);
    }
    return {};
}

}  // namespace

Result<FlashBank> open_flash_bank(const FlashChoice& choice, FlashUse use, const FlashPlace& place) {
    const bool writable = use == FlashUse::kVariables && !choice.read_only && !choice.path.empty();
    OpenFile open{};
    if (!choice.path.empty()) {
        DOPPEL_TRY(open, open_file(choice.path, writable, place.size));
    }
    DOPPEL_TRY(const memory::Region* region, place.memory.add_code_region(place.base, place.size));
    constexpr uint8_t kErased = 0xff;
    std::memset(region->host, kErased, region->size);
    DOPPEL_CHECK(read_into(region->host, open, choice.path));
    FlashBank bank{region, nullptr, choice.read_only};
    if (writable) {
        bank.file = std::make_unique<FlashFile>(std::move(open.file), choice.path,
                                                std::span<const uint8_t>(region->host, region->size), open.length);
    }
    return bank;
}

bool FlashFile::keep(uint64_t offset, std::span<const uint8_t> content) {
    const uint64_t start = std::min(offset, length_), end = offset + content.size();
    for (uint64_t at = start; at < end;) {
        const ssize_t put = ::pwrite(file_.get(), bank_.data() + at, end - at, static_cast<off_t>(at));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            if (!std::exchange(complained_, true))
                log_error("{}", Error::system("write flash", path_, errno).message());
            return false;
        }
        at += static_cast<uint64_t>(put);
        length_ = std::max(length_, at);
    }
    return true;
}

}  // namespace doppel::machine
