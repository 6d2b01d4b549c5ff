#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {
namespace {

bool make_file(const char* path) {
    return UniqueFd(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).get() >= 0;
}

}  // namespace

// Writes through a real overlay over a tmpfs of its own.
Finding probe_overlay() {
    const std::string lost = "layered root trees by the kernel; layers are copied instead";
    if (!enter_scratch_tmp()) return missing(failure("enter a mount namespace", errno), lost);
    for (const char* folder : {"/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/merged"}) mkdir(folder, 0700);
    if (!make_file("/tmp/lower/below")) return missing(failure("write to a private tmpfs", errno), lost);
    if (mount("overlay", "/tmp/merged", "overlay", 0,
              "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work,userxattr") != 0 &&
        mount("overlay", "/tmp/merged", "overlay", 0, "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work") != 0)
        return missing(failure("mount overlay", errno), lost);
    if (access("/tmp/merged/below", F_OK) != 0 || !make_file("/tmp/merged/new") || access("/tmp/upper/new", F_OK) != 0)
        return degraded("mounted, but a write did not reach the upper layer", lost);
    return ok("mounted in a namespace and written through");
}

}  // namespace doppel::host
