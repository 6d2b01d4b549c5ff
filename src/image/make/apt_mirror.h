// Which Debian mirror this machine's apt is configured with.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "image/stop.h"

namespace doppel::image {

// Asks apt itself, so that every form of its source lists counts (apt-get(8), indextargets). An error when there is
// none: another distribution.
Result<std::string> configured_mirror(const StopRequest& stop = {});

// The fields that `indextargets` is asked for, and the choice among its lines: the main Debian archive, never its
// security or port archive. Empty: none of them.
inline constexpr std::string_view kIndexTargetFormat = "$(SITE)|$(ORIGIN)|$(LABEL)|$(RELEASE)|$(COMPONENT)";
std::string choose_mirror(std::string_view index_targets);

// A mirror's address as apt takes it: a scheme, a colon, no blanks or control characters.
bool is_mirror_address(std::string_view address);

}  // namespace doppel::image
