// What packages, their modules, apt and a guest say while a Debian is made.
#include <cstdint>
#include <string_view>

#include "image/make/apt_archive.h"
#include "image/make/debian/boot_modules.h"
#include "image/make/debian/dpkg_database.h"
#include "image/make/debian/settings.h"
#include "image/make/debian/setup_machine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::image;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const TriggerInterest& interest : interests_of(text))
        if (!interest.trigger.starts_with('/') && interest.trigger.find('/') != interest.trigger.npos) __builtin_trap();
    for (const PackageFile& file : parse_package_files(text))
        if (file.name.find('/') != file.name.npos) __builtin_trap();
    if (field_of(text, "Package").find('\n') != std::string::npos) __builtin_trap();
    for (const std::string& name : module_dependencies({data, size}))
        if (name.empty()) __builtin_trap();
    public_keys(text);
    configured_package(text);
    return 0;
}
