// What apt says when it fails, as one error with cause and cure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace doppel::image {

struct AptContext {
    std::string failed;   // the step: "download package"
    std::string subject;  // what it was about, unless apt names a file: the mirror's address
    std::string suite;
    std::string keyring;
};

// `said`: standard output and standard error of apt-get or apt-cache under LC_ALL=C (untrusted: parts come from the
// mirror).
Error apt_error(const AptContext& context, std::string_view said);

}  // namespace doppel::image
