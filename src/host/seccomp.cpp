#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "host/probe_list.h"
#include "host/sandbox.h"

namespace doppel::host {

// Installs a filter that makes one call fail, and makes the call.
Finding probe_seccomp() {
    const std::string lost = "the machine's own restriction to the system calls it needs";
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{4, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return missing(failure("install a filter", errno), lost);
    errno = 0;
    if (syscall(SYS_getppid) != -1 || errno != EXDEV) return missing("a filter installs but does not act", lost);
    seccomp_notif_sizes sizes{};
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0)
        return degraded("filters act; no user notification",
                        "system calls of containers that are carried out for them");
    return ok("filters act, with user notification");
}

}  // namespace doppel::host
