// The kernel's command line.
#pragma once

#include <string>
#include <string_view>

namespace doppel::machine::boot {

// `line` with `parameters` (words with spaces between) for the kernel: in front of a word "--", from which on the words
// are the first process's (Linux, Documentation/admin-guide/kernel-parameters.rst). Quotation marks hold words
// together.
std::string with_parameters(std::string_view line, std::string_view parameters);

}  // namespace doppel::machine::boot
