#include "image/make/package_cache.h"

#include <algorithm>
#include <system_error>
#include <vector>

namespace doppel::image {

namespace fs = std::filesystem;

Result<> trim_package_cache(const fs::path& folder, uint64_t limit) {
    struct Kept {
        fs::file_time_type used;
        uint64_t size;
        fs::path path;
    };
    std::vector<Kept> all;
    std::error_code code;
    uint64_t sum = 0;
    for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
        std::error_code gone;
        if (entry->path().extension() != ".deb") continue;
        const uint64_t size = entry->file_size(gone);
        const auto used = entry->last_write_time(gone);
        if (gone) continue;
        all.push_back({used, size, entry->path()});
        sum += size;
    }
    if (code) return fail(Error::system("tidy packages", folder, code.value()));
    std::ranges::sort(all, {}, &Kept::used);
    for (const Kept& oldest : all) {
        if (sum <= limit) break;
        fs::remove(oldest.path, code);
        if (code) return fail(Error::system("tidy packages", oldest.path, code.value()));
        sum -= oldest.size;
    }
    return {};
}

}  // namespace doppel::image
