// The user's terminal, or what stands in its place, on the console of an instance.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::cli {

enum class Left { kEnded, kDetached };

inline constexpr char kDetachKey = 0x1d;  // Ctrl-]

// Carries bytes both ways until the console ends, or the user presses Ctrl-] where the input is a terminal, which is
// raw meanwhile.
Result<Left> attach(UniqueFd console);

}  // namespace doppel::cli
