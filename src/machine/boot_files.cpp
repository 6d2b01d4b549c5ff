#include "machine/boot_files.h"

#include <utility>

#include "base/file.h"

namespace doppel::machine {

Result<std::vector<uint8_t>> BootFiles::read(const std::string& path, std::string_view purpose) {
    auto held = open_.find(path);
    if (held == open_.end()) {
        DOPPEL_TRY(UniqueFd file, open_regular_file(path, purpose));
        held = open_.emplace(path, std::move(file)).first;
    }
    return read_whole(held->second.get(), path, kLargest, purpose);
}

}  // namespace doppel::machine
