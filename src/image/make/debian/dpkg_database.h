// dpkg's database (/var/lib/dpkg) as it is after `dpkg --unpack`, for packages that were unpacked without it: `dpkg
// --configure` in the guest does the rest. Formats: dpkg(1), deb-control(5), deb-conffiles(5), deb-triggers(5), and
// dpkg's doc/spec/ and lib/dpkg/trigdeferred, dbmodify of dpkg 1.22.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/make/debian/tree_writer.h"
#include "image/make/debian/unpack.h"

namespace doppel::image {

// A paragraph of fields, as in `control` (deb822(5)): the value of `name` without its continuation lines; empty: none.
std::string field_of(std::string_view paragraph, std::string_view name);

// What a package waits for (deb-triggers(5)).
struct TriggerInterest {
    std::string trigger;  // a path, or a name
    bool await = true;
};
// Lines that are neither comments nor interests are left alone.
std::vector<TriggerInterest> interests_of(std::string_view triggers);

class DpkgDatabase {
  public:
    // Adds a package whose files are in the tree. An error when its control file names none.
    Result<> add(const UnpackedPackage& package, TreeWriter& tree);
    // Writes what was gathered. Nothing may be added afterwards.
    Result<> finish(TreeWriter& tree) const;

    // Name and version of each.
    const std::map<std::string, std::string>& packages() const { return packages_; }
    // Those with a script that comes before unpacking, as dpkg names it: "libc6:riscv64.preinst".
    const std::vector<std::string>& preinsts() const { return preinsts_; }

  private:
    Result<std::string> conffiles(const UnpackedPackage& package, const TreeWriter& tree) const;

    std::map<std::string, std::string> packages_;
    std::vector<std::string> preinsts_;
    std::string status_;
    std::map<std::string, std::string> triggers_;  // the files below triggers/
};

}  // namespace doppel::image
