// "-o cluster_size=128K,lazy_refcounts=on": qemu-img's names for what a format can be.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "storage/block_device.h"
#include "storage/qcow2/create.h"

namespace doppel::disk {

struct FormatOptions {
    storage::qcow2::CreateOptions qcow2;
    storage::Preallocation preallocation = storage::Preallocation::kOff;
    bool any_of_qcow2 = false;  // an option was given that raw disks do not have
};

// `lists` are the arguments of -o.
Result<FormatOptions> parse_format_options(const std::vector<std::string>& lists);
Result<storage::Preallocation> parse_preallocation(const std::string& text);

// What -o knows, for help.
extern const char* const kFormatOptionsHelp;

}  // namespace doppel::disk
