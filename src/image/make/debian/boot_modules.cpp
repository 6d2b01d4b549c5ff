#include "image/make/debian/boot_modules.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

constexpr size_t kBlock = 64 * 1024;
constexpr size_t kModuleLimit = 64 << 20;  // bytes, not compressed

std::string plain_name(std::string_view name) {
    std::string text(name);
    std::ranges::replace(text, '-', '_');
    return text;
}

// Name to file.
Result<std::map<std::string, fs::path>> find_modules(const fs::path& folder) {
    std::map<std::string, fs::path> found;
    std::error_code code;
    for (fs::recursive_directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
        const std::string file = entry->path().filename();
        const size_t ending = file.find(".ko");
        if (ending != file.npos && entry->is_regular_file(code))
            found.emplace(plain_name(file.substr(0, ending)), entry->path());
    }
    if (code) return fail(Error::system("find kernel modules", folder, code.value()));
    return found;
}

Result<std::vector<uint8_t>> read_unpacked(const fs::path& path) {
    const std::unique_ptr<archive, int (*)(archive*)> file(archive_read_new(), archive_read_free);
    auto bad = [&] {
        const char* why = file ? archive_error_string(file.get()) : nullptr;
        return fail(Error{"read kernel module", path, why ? why : "it cannot be unpacked", ""});
    };
    if (!file) return bad();
    archive_read_support_format_raw(file.get());
    archive_read_support_filter_xz(file.get());
    archive_read_support_filter_zstd(file.get());
    archive_read_support_filter_gzip(file.get());
    archive_entry* entry = nullptr;
    if (archive_read_open_filename(file.get(), path.c_str(), kBlock) != ARCHIVE_OK ||
        archive_read_next_header(file.get(), &entry) != ARCHIVE_OK)
        return bad();
    std::vector<uint8_t> content;
    std::array<uint8_t, kBlock> block;
    la_ssize_t got;
    while ((got = archive_read_data(file.get(), block.data(), block.size())) > 0) {
        content.insert(content.end(), block.begin(), block.begin() + got);
        if (content.size() > kModuleLimit) return bad();
    }
    if (got < 0) return bad();
    return content;
}

class Collector {
  public:
    explicit Collector(const fs::path& folder) : folder_(folder) {}

    Result<std::vector<KernelModule>> run(std::span<const std::string_view> names) {
        DOPPEL_TRY(files_, find_modules(folder_));
        for (const std::string_view name : names) DOPPEL_CHECK(add(plain_name(name)));
        for (auto& [name, module] : modules_) module.needs = all_needs(name);
        std::vector<KernelModule> list;
        for (auto& [name, module] : modules_) list.push_back(std::move(module));
        return list;
    }

  private:
    Result<> add(const std::string& name) {
        const auto file = files_.find(name);
        if (file == files_.end() || modules_.contains(name)) return {};
        KernelModule& module = modules_[name];
        const std::string inside = fs::relative(file->second, folder_);
        module.path = inside.substr(0, inside.rfind(".ko") + 3);
        DOPPEL_TRY(module.content, read_unpacked(file->second));
        for (const std::string& needed : module_dependencies(module.content)) {
            direct_[name].push_back(needed);
            DOPPEL_CHECK(add(needed));
        }
        return {};
    }
    // First what is loaded last.
    std::vector<std::string> all_needs(const std::string& name) {
        std::vector<std::string> order;
        std::set<std::string> seen{name};
        visit(name, seen, order);
        order.pop_back();  // itself
        std::ranges::reverse(order);
        std::vector<std::string> paths;
        for (const std::string& one : order) paths.push_back(modules_.at(one).path);
        return paths;
    }
    void visit(const std::string& name, std::set<std::string>& seen, std::vector<std::string>& order) {
        for (const std::string& needed : direct_[name])
            if (modules_.contains(needed) && seen.insert(needed).second) visit(needed, seen, order);
        order.push_back(name);
    }

    const fs::path& folder_;
    std::map<std::string, fs::path> files_;
    std::map<std::string, KernelModule> modules_;
    std::map<std::string, std::vector<std::string>> direct_;
};

}  // namespace

std::vector<std::string> module_dependencies(std::span<const uint8_t> module) {
    // .modinfo is a row of NUL-terminated KEY=VALUE.
    constexpr std::string_view kKey("\0depends=", 9);
    const std::string_view text(reinterpret_cast<const char*>(module.data()), module.size());
    const size_t at = text.find(kKey);
    if (at == text.npos) return {};
    std::string_view list = text.substr(at + kKey.size());
    const size_t end = list.find('\0');
    if (end == list.npos) return {};
    list = list.substr(0, end);
    std::vector<std::string> names;
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        if (comma > 0) names.push_back(plain_name(list.substr(0, comma)));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return names;
}

Result<std::vector<KernelModule>> collect_modules(const fs::path& folder, std::span<const std::string_view> names) {
    return Collector(folder).run(names);
}

}  // namespace doppel::image
