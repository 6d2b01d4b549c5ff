// A directory that holds a root file system, as a machine.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/plan.h"

namespace doppel::cli {

// The machine's root is the folder `path`, over virtio-fs, as it is (--rw) or with changes that end with the machine.
// It starts with --kernel, else with the tree's own newest kernel, else with that of the image tiny.
Result<> choose_tree(const Arguments& arguments, const std::string& path, Plan& plan);

// The newest of boot/vmlinuz-VERSION and boot/vmlinux-VERSION below `tree`; empty: none.
std::string kernel_in_tree(const std::string& tree);

}  // namespace doppel::cli
