// The machine in which an image configures its own packages.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "image/stop.h"

namespace doppel::image {

struct SetupMachine {
    std::filesystem::path doppel_machine;  // the program
    std::filesystem::path kernel, initrd;  // initrd: boot_initrd.h's
    std::filesystem::path disk;            // raw; it is written to
    std::filesystem::path log;             // gets what the guest said, if it fails
    size_t packages = 0;                   // how many there are to configure, for the progress bar
    StopRequest stop{};
};

// Runs setup to its end. That the guest did not come to it, or that the file system was not unmounted, is an error
// that says what the guest said last.
Result<> run_setup(const SetupMachine& machine);

// What dpkg says on its status descriptor when it is done with a package (dpkg(1), --status-fd): its name, else empty.
// Untrusted.
std::string_view configured_package(std::string_view line);

}  // namespace doppel::image
