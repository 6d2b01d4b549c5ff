// The initial RAM file system of the image "tiny".
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace doppel::image {

// A module of the kernel as the initrd carries it, in the form that insmod and modprobe take.
struct KernelModule {
    std::string path;  // below lib/modules/VERSION: "kernel/drivers/x.ko.xz"
    std::vector<uint8_t> content;
    // All that it needs and that in turn need, first what is loaded last (modules.dep(5)): paths up to ".ko". What the
    // initrd lacks the kernel has built in.
    std::vector<std::string> needs{};
};

class CpioWriter;

// Below lib/modules/VERSION, with the folders above and modules.dep. Nothing for no modules.
Result<> write_modules(CpioWriter& cpio, const std::string& kernel_version, const std::vector<KernelModule>& modules);

struct TinyContent {
    std::span<const uint8_t> busybox;
    std::string greeting;        // one line that the guest prints first
    std::string kernel_version;  // as uname -r says it; for the modules
    std::vector<KernelModule> modules;
    std::span<const uint8_t> agent{};  // doppel-agent for the guest; empty: none
};

// A new file: busybox with a link for each of its commands, and an /init that ends in an interactive shell on the
// console. Modules are for the user to load. Not compressed: the guest would pay for it in
// instructions.
Result<> write_tiny_initrd(const std::filesystem::path& path, const TinyContent& content);

// What the content is made into that is nobody's but this code's: it changes when an image made before is out of date.
std::string tiny_initrd_recipe();

}  // namespace doppel::image
