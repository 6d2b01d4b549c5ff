#!/usr/bin/env python3
"""doppel doctor says of each ability of the host a status, a fact and what is lost, as text and as JSON, without root too."""

import json
import os
import subprocess

from support.cli_test import check, launcher

KNOWN = {"cgroups", "cores", "fuse", "hugetlbfs", "io_uring", "kernel", "ksm", "kvm", "landlock", "loop_devices", "memory", "namespaces",
         "nested_namespaces", "nftables", "overlay", "perf", "ring0", "seccomp", "transparent_huge_pages", "tun", "user_namespaces",
         "userfaultfd"}


def check_findings(findings):
    names = [finding["name"] for finding in findings]
    check(names == sorted(names) and set(names) == KNOWN, names)
    for finding in findings:
        check(set(finding) == {"name", "status", "fact", "lost"}, finding)
        check(finding["status"] in ("ok", "degraded", "missing"), finding)
        check(finding["fact"] and (finding["lost"] == "") == (finding["status"] == "ok"), finding)


with launcher() as doppel:
    mounts = open("/proc/self/mountinfo").read()
    check_findings(json.loads(doppel.succeed("doctor", "--json")))
    text = doppel.succeed("doctor")
    check([line.split()[1] for line in text.splitlines()] == sorted(KNOWN), text)
    check("\x1b" not in text, "colours in a pipe")
    check(open("/proc/self/mountinfo").read() == mounts, "a mount was left behind")
    if os.geteuid() == 0:
        for folder in (doppel.folder, doppel.program.parent):
            folder.chmod(0o755)
        done = subprocess.run([doppel.program, "doctor", "--json"], user=65534, group=65534, extra_groups=[], capture_output=True,
                              text=True, timeout=120)
        check(done.returncode == 0, done)
        check_findings(json.loads(done.stdout))
