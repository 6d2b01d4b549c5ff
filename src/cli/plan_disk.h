// A disk as a machine: what was installed on it starts, through firmware unless an option says what does.
#pragma once

#include <array>
#include <string>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/plan.h"
#include "cli/recognise.h"
#include "image/catalog.h"

namespace doppel::cli {

// Each says what a machine starts from.
inline constexpr std::array kStartable{"--kernel", "--firmware", "--flash"};
bool names_what_starts(const Arguments& arguments);

// The disk named as WHAT becomes the machine's first one, written to as one given by --disk.
Result<> choose_disk(const Arguments& arguments, const Recognised& found, Plan& plan);

// Where no option says what starts: firmware does, the user's own (`firmware` in the cache) before the host's. Adds to
// the reason of the plan's level which it is.
Result<> start_through_firmware(const Arguments& arguments, const image::Catalog& catalog, Plan& plan);

}  // namespace doppel::cli
