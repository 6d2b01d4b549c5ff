// The machine's cgroups, which who started the keeper has made (layout.h, kCgroupsFile).
#pragma once

namespace doppel::instance {

// The calling process goes into them. Null, or the path of one that it could not go into, with errno set; `path` has
// room for PATH_MAX bytes.
const char* join_cgroups(int directory, char* path);
// Those that have nothing in them any more, and with the last one the file.
void remove_cgroups(int directory);

}  // namespace doppel::instance
