// A Debian package unpacked as dpkg unpacks it, on a machine that cannot run what is in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/make/debian/tree_writer.h"
#include "image/stop.h"

namespace doppel::image {

// What the host's file system cannot hold for a user: the guest is told of it.
struct Attributes {
    std::string path;  // "usr/bin/sudo"
    uint32_t uid = 0, gid = 0;
    uint32_t mode = 0;  // with the special bits
};

struct UnpackedPackage {
    std::map<std::string, std::string> control;  // its control archive: "control", "postinst", "triggers"
    std::vector<std::string> paths;              // in the archive's order, "/usr/bin/sh"; folders too
};

// Writes the package's files into the tree, and adds to `attributes` what differs there: other owners than root, bits
// such as set-user-id, which are left out of the tree, and files that their owner cannot read. Device nodes are an
// error; so is anything that is no package. What was written before a failure stays.
Result<UnpackedPackage> unpack_deb(const std::filesystem::path& deb, TreeWriter& tree,
                                   std::vector<Attributes>& attributes, const StopRequest& stop = {});

}  // namespace doppel::image
