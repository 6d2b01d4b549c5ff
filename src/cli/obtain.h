// From a plan to what a machine can start from.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "cli/plan.h"
#include "image/catalog.h"

namespace doppel::cli {

// Adds what the image brings, which is made first if need be, and looks whether the files to start from are there.
// False: the image's maker failed, having said why; its exit code is `maker_code`. `own` is the folder of an instance,
// which keeps what its guest writes there (cli/own_system.h); empty: nothing is kept.
Result<bool> complete(Plan& plan, const image::Catalog& catalog, int& maker_code,
                      const std::filesystem::path& own = {});

}  // namespace doppel::cli
