// Packages come from a mirror: as they are (even first byte), or as the tar archive in an outer archive that is in
// order.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <span>
#include <string>
#include <system_error>

#include "base/file.h"
#include "base/unique_fd.h"
#include "image/make/deb.h"
#include "image/make/deb_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel;
    if (size == 0) return 0;
    std::string deb(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2) deb = image::build_deb(deb);
    UniqueFd memory(::memfd_create("deb", MFD_CLOEXEC));
    if (!memory || !write_all(memory.get(), std::span(reinterpret_cast<const uint8_t*>(deb.data()), deb.size())))
        return 0;
    std::filesystem::path input = "/proc/self/fd/" + std::to_string(memory.get());
    static const std::filesystem::path output =
        std::filesystem::temp_directory_path() / ("doppel-deb-fuzzer-" + std::to_string(::getpid()));
    // Small limits: the time that a bomb takes is libarchive's to spend, its size is ours to bound.
    auto found = image::extract_from_deb(input, [](std::string_view) { return true; }, output, {},
                                         {.file = 1 << 20, .passed = 4 << 20});
    std::error_code code;
    if (found.has_value() != std::filesystem::exists(output, code)) __builtin_trap();
    if (found) std::filesystem::remove(output, code);
    return 0;
}
