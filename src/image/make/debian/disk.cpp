#include "image/make/debian/disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <vector>

#include "base/file.h"
#include "image/make/process.h"

namespace doppel::image {
namespace {

// Tools for the system lie where a user's PATH may not lead.
std::string find_tool(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::string folders = (path ? std::string(path) : std::string()) + ":/usr/sbin:/sbin:/usr/bin:/bin";
    for (size_t at = 0; at < folders.size();) {
        const size_t end = std::min(folders.find(':', at), folders.size());
        const std::string tool = folders.substr(at, end - at) + "/" + name;
        if (tool.starts_with('/') && ::access(tool.c_str(), X_OK) == 0) return tool;
        at = end + 1;
    }
    return name;
}

Result<> run_tool(std::vector<std::string> words, std::string failed, const std::filesystem::path& subject,
                  const StopRequest& stop) {
    const std::string tool = words[0];
    DOPPEL_TRY(const Finished finished, run({.arguments = std::move(words), .environment = {{"LC_ALL", "C"}}}, stop));
    if (finished.succeeded()) return {};
    std::string_view said = finished.diagnostics.empty() ? finished.output : finished.diagnostics;
    while (said.ends_with('\n')) said.remove_suffix(1);
    said = said.substr(said.rfind('\n') == said.npos ? 0 : said.rfind('\n') + 1);
    return fail(Error{std::move(failed), subject, tool + ": " + std::string(said), ""});
}

}  // namespace

Result<std::string> new_uuid() {
    constexpr size_t kLength = 36;
    const char* source = "/proc/sys/kernel/random/uuid";
    const UniqueFd file(::open(source, O_RDONLY | O_CLOEXEC));
    std::string text(kLength, '\0');
    if (!file || ::read(file.get(), text.data(), kLength) != static_cast<ssize_t>(kLength))
        return fail(Error::system("make a UUID", source, errno));
    return text;
}

Result<> make_ext4(const std::filesystem::path& tree, const std::filesystem::path& disk, uint64_t size,
                   const std::string& uuid, const StopRequest& stop) {
    const UniqueFd file(::open(disk.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0)
        return fail(Error::system("make file system", disk, errno));
    // Tables are zeroed now, which makes holes, not by the guest, which would write them.
    std::vector<std::string> words{find_tool("mke2fs"),
                                   "-q",
                                   "-F",
                                   "-t",
                                   "ext4",
                                   "-L",
                                   "debian",
                                   "-U",
                                   uuid,
                                   "-m",
                                   "1",
                                   "-E",
                                   "root_owner=0:0,lazy_itable_init=0,nodiscard",
                                   "-d",
                                   tree,
                                   disk};
    if (::geteuid() != 0) words.insert(words.begin(), {"unshare", "--map-root-user"});
    return run_tool(std::move(words), "make file system", disk, stop);
}

Result<> convert_disk(const std::filesystem::path& doppel_disk, const DiskFile& from, const DiskFile& to,
                      const StopRequest& stop) {
    return run_tool({doppel_disk, "convert", "-f", from.format, "-O", to.format, from.path, to.path}, "make disk",
                    to.path, stop);
}

Result<> index_modules(const std::filesystem::path& tree, const std::string& version, const StopRequest& stop) {
    return run_tool({find_tool("depmod"), "-b", tree, version}, "index kernel modules", version, stop);
}

}  // namespace doppel::image
