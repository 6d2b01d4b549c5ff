// What doppel writes into a Debian's root file system beside the packages' own files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/make/debian/settings.h"
#include "image/make/debian/tree_writer.h"
#include "image/make/debian/unpack.h"

namespace doppel::image {

// Settings of systemd, apt, ssh and the network, the user's, the agent and its service (an empty agent: none).
Result<> write_system_files(TreeWriter& tree, const DebianSettings& settings, std::span<const uint8_t> agent);

// The program that configures the packages in the guest (boot_initrd.h's kSetupProgram), with what it needs, in
// /doppel; it removes all of it. `preinsts` are files of dpkg's database, `uuid` is the file system's.
struct SetupInput {
    std::vector<std::string> preinsts;
    std::vector<Attributes> attributes;
    std::string uuid;
};
Result<> write_setup(TreeWriter& tree, const DebianSettings& settings, const SetupInput& input);

// What setup says on the console when it has succeeded, at a line's beginning.
inline constexpr std::string_view kSetupDone = "doppel-setup: done";

// What changes when an image made before is out of date.
std::string system_recipe();

}  // namespace doppel::image
