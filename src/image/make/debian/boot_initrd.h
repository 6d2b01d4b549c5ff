// The initial RAM file system of Debian's images: it loads the drivers, mounts the root file system and gives way to
// it.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/make/tiny_initrd.h"

namespace doppel::image {

// Drivers of doppel's and QEMU's machines, file systems, and what systemd would load one by one.
std::span<const std::string_view> boot_module_names();

// On the kernel's command line: root=/dev/X (/dev/vda), doppel.shareN=GUESTDIR[,ro] mounts a shared folder, and
// doppel.setup runs kSetupProgram of the root file system instead of its init, then powers off. Not compressed: the
// guest would pay for it in instructions.
inline constexpr std::string_view kSetupProgram = "/doppel/setup";
Result<> write_boot_initrd(const std::filesystem::path& path, std::span<const uint8_t> busybox,
                           const std::string& kernel_version, const std::vector<KernelModule>& modules);

// What changes when an image made before is out of date.
std::string boot_initrd_recipe();

}  // namespace doppel::image
