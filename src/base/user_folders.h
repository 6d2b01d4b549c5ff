// Where doppel keeps what belongs to one user.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace doppel {

// The state: $DOPPEL_STATE, else $XDG_STATE_HOME/doppel, else ~/.local/state/doppel. What runs has its sockets in
// $XDG_RUNTIME_DIR/doppel, where that exists and no other state was chosen, else in `run` below the state.
struct UserFolders {
    std::filesystem::path state, runtime;
};

// Makes nothing.
Result<UserFolders> user_folders();

// For this user alone (mode 0700), with those above it; one that is there is left as it is.
Result<> make_private_folder(const std::filesystem::path& folder);

}  // namespace doppel
