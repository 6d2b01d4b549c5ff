// For fuzzers that need files.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace doppel {

// A new, empty folder, whose removal is the caller's; without one the fuzzer ends.
inline std::filesystem::path make_fuzz_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "doppel-fuzz-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    return name;
}

}  // namespace doppel
