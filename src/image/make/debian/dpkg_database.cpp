#include "image/make/debian/dpkg_database.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/file.h"
#include "image/make/apt_archive.h"

namespace doppel::image {
namespace {

constexpr std::string_view kFolder = "var/lib/dpkg/";
constexpr uint64_t kConffileLimit = 16 << 20;  // bytes

std::string_view next_line(std::string_view& text) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r");
    if (begin == text.npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// What dpkg keeps of a configuration file to know whether it was changed.
Result<std::string> md5_of(const std::vector<uint8_t>& content) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(content.data(), content.size(), digest, &size, EVP_md5(), nullptr) != 1)
        return fail(Error{"unpack package", "MD5", "the host's libcrypto refuses it", ""});
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; i++) text.append({kDigits[digest[i] >> 4], kDigits[digest[i] & 15]});
    return text;
}

}  // namespace

std::string field_of(std::string_view paragraph, std::string_view name) {
    while (!paragraph.empty()) {
        const std::string_view line = next_line(paragraph);
        if (line.size() > name.size() && line[name.size()] == ':' && line.starts_with(name))
            return std::string(trimmed(line.substr(name.size() + 1)));
    }
    return {};
}

std::vector<TriggerInterest> interests_of(std::string_view triggers) {
    std::vector<TriggerInterest> found;
    while (!triggers.empty()) {
        std::string_view line = next_line(triggers);
        line = trimmed(line.substr(0, line.find('#')));
        const size_t blank = line.find_first_of(" \t");
        if (blank == line.npos) continue;
        const std::string_view word = line.substr(0, blank), trigger = trimmed(line.substr(blank));
        if (word != "interest" && word != "interest-await" && word != "interest-noawait") continue;
        // It becomes a file's name, unless it is a path.
        if (!trigger.starts_with('/') && trigger.find('/') != trigger.npos) continue;
        if (trigger.starts_with('.') || trigger.find_first_of(" \t") != trigger.npos) continue;
        found.push_back({std::string(trigger), word != "interest-noawait"});
    }
    return found;
}

Result<std::string> DpkgDatabase::conffiles(const UnpackedPackage& package, const TreeWriter& tree) const {
    const auto list = package.control.find("conffiles");
    if (list == package.control.end()) return std::string();
    std::string lines;
    std::string_view rest = list->second;
    while (!rest.empty()) {
        const std::string_view path = trimmed(next_line(rest));
        if (!path.starts_with('/')) continue;  // "remove-on-upgrade PATH" is not in the package
        DOPPEL_TRY(const UniqueFd file, tree.open_file(std::string(path.substr(1))));
        DOPPEL_TRY(const auto content, read_whole(file.get(), std::string(path), kConffileLimit, "unpack package"));
        DOPPEL_TRY(const std::string digest, md5_of(content));
        lines.append(" ").append(path).append(" ").append(digest).append("\n");
    }
    return lines.empty() ? lines : "Conffiles:\n" + lines;
}

Result<> DpkgDatabase::add(const UnpackedPackage& package, TreeWriter& tree) {
    const std::string& control = package.control.at("control");
    const std::string name = field_of(control, "Package"), version = field_of(control, "Version"),
                      architecture = field_of(control, "Architecture");
    if (!is_package_name(name) || version.empty() || architecture.find('/') != architecture.npos)
        return fail(Error{"unpack package", name, "its control file is wrong", "download it again"});
    const bool several = field_of(control, "Multi-Arch") == "same";
    const std::string prefix = name + (several ? ":" + architecture : "");
    const std::string info = std::string(kFolder) + "info/" + prefix + ".";
    std::string list;
    for (const std::string& path : package.paths) list += path + "\n";
    DOPPEL_CHECK(tree.write(info + "list", list));
    for (const auto& [member, content] : package.control) {
        if (member == "control") continue;
        const bool script = content.starts_with("#!") || content.starts_with(
                                                             "\x7f"
                                                             "ELF");
        DOPPEL_CHECK(tree.write(info + member, content, script ? 0755 : 0644));
    }
    if (package.control.contains("preinst")) preinsts_.push_back(prefix + ".preinst");
    if (const auto triggers = package.control.find("triggers"); triggers != package.control.end()) {
        for (const TriggerInterest& interest : interests_of(triggers->second)) {
            const std::string who = prefix + (interest.await ? "" : "/noawait");
            if (interest.trigger.starts_with('/'))
                triggers_["File"] += interest.trigger + " " + who + "\n";
            else
                triggers_[interest.trigger] += who + "\n";
        }
    }
    DOPPEL_TRY(const std::string files, conffiles(package, tree));
    std::string_view fields = control;
    while (fields.ends_with('\n')) fields.remove_suffix(1);
    status_.append(fields).append("\nStatus: install ok unpacked\n").append(files).append("\n");
    packages_[name] = version;
    return {};
}

Result<> DpkgDatabase::finish(TreeWriter& tree) const {
    const std::string folder(kFolder);
    DOPPEL_CHECK(tree.write(folder + "status", status_));
    DOPPEL_CHECK(tree.write(folder + "available", std::string_view()));
    DOPPEL_CHECK(tree.write(folder + "diversions", std::string_view()));
    DOPPEL_CHECK(tree.write(folder + "statoverride", std::string_view()));
    DOPPEL_CHECK(tree.write(folder + "info/format", "1\n"));
    for (const char* empty : {"updates", "parts", "alternatives"}) DOPPEL_CHECK(tree.directory(folder + empty));
    DOPPEL_CHECK(tree.write(folder + "triggers/Lock", std::string_view()));
    DOPPEL_CHECK(tree.write(folder + "triggers/Unincorp", std::string_view()));
    if (!triggers_.contains("File")) DOPPEL_CHECK(tree.write(folder + "triggers/File", std::string_view()));
    for (const auto& [name, lines] : triggers_) DOPPEL_CHECK(tree.write(folder + "triggers/" + name, lines));
    return {};
}

}  // namespace doppel::image
