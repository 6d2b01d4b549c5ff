// Packages as they come (even first byte), or as the data archive in a package that is in order. Nothing is written
// outside the tree.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>

#include "base/file.h"
#include "base/unique_fd.h"
#include "image/make/deb_builder.h"
#include "image/make/debian/unpack.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel;
    if (size == 0) return 0;
    static const std::string control =
        image::build_tar({{.path = "control", .content = "Package: x\nVersion: 1\n"}}, archive_write_add_filter_none);
    std::string deb(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2) deb = image::build_deb(deb, "data.tar", control);
    UniqueFd memory(::memfd_create("deb", MFD_CLOEXEC));
    if (!memory || !write_all(memory.get(), std::span(reinterpret_cast<const uint8_t*>(deb.data()), deb.size())))
        return 0;
    static const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("doppel-unpack-fuzzer-" + std::to_string(::getpid()));
    std::error_code code;
    std::filesystem::create_directories(folder / "tree", code);
    auto tree = image::TreeWriter::open(folder / "tree");
    std::vector<image::Attributes> attributes;
    if (tree) (void)image::unpack_deb("/proc/self/fd/" + std::to_string(memory.get()), *tree, attributes);
    for (const auto& entry : std::filesystem::directory_iterator(folder, code))
        if (entry.path().filename() != "tree") __builtin_trap();
    std::filesystem::remove_all(folder, code);
    return 0;
}
