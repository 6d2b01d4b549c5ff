// One maker or remover of images at a time: an advisory lock on the directory of images, freed by the kernel when its
// holder ends.
#pragma once

#include <filesystem>
#include <functional>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/stop.h"

namespace doppel::image {

// Creates `directory` if missing, then waits until this process alone holds its lock; `waiting` is called once if that
// takes time. The lock lasts as long as the descriptor. Processes that only read images need no lock: they are
// published by rename.
Result<UniqueFd> lock_directory(const std::filesystem::path& directory, const StopRequest& stop = {},
                                const std::function<void()>& waiting = {});

}  // namespace doppel::image
