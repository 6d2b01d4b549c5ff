// The probes, one file each. Every one runs in a process of its own (probe.h): it may unshare, mount and leave things
// open, but writes nothing to the host. A probe leaves `name` empty; its caller knows it.
#pragma once

#include "host/finding.h"

namespace doppel::host {

Finding probe_cgroups();
Finding probe_cores();
Finding probe_fuse();
Finding probe_hugetlbfs();
Finding probe_io_uring();
Finding probe_kernel();
Finding probe_ksm();
Finding probe_kvm();
Finding probe_landlock();
Finding probe_loop_devices();
Finding probe_memory();
Finding probe_namespaces();
Finding probe_nested_namespaces();
Finding probe_nftables();
Finding probe_overlay();
Finding probe_perf();
Finding probe_ring0();
Finding probe_seccomp();
Finding probe_transparent_huge_pages();
Finding probe_tun();
Finding probe_user_namespaces();
Finding probe_userfaultfd();

}  // namespace doppel::host
