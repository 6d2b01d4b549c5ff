// What apt prints carries what a mirror wrote.
#include "image/make/apt_archive.h"
#include "image/make/apt_mirror.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::image;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    auto package = parse_package(text);
    if (package && !is_package_name(package->name)) __builtin_trap();
    std::string name = dependency(text, "linux-image-");
    if (!name.empty() && !is_package_name(name)) __builtin_trap();
    std::string mirror = choose_mirror(text);
    if (!mirror.empty() && !is_mirror_address(mirror)) __builtin_trap();
    parse_percentage(text);
    if (apt_error({"fetch", "mirror", "stable", "keyring"}, text).message().find('\n') != std::string::npos)
        __builtin_trap();
    return 0;
}
