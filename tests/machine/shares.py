#!/usr/bin/env python3
"""Folders of the host that a guest sees."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]
from harness import debian, initramfs  # noqa: E402
from harness.failure import Failure  # noqa: E402
from harness.machines import cache_folder  # noqa: E402
from support import guest  # noqa: E402
from support.guest import DOPPEL, Machine, booted, check  # noqa: E402

GUEST = pathlib.Path(__file__).resolve().parent / "share_guest"
COMPILER = "riscv64-linux-gnu-gcc"
NOBODY = 65534


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="doppel-test-") as path:
        yield pathlib.Path(path)


def digest(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def compile_work(path):
    if shutil.which(COMPILER) is None:
        guest.skip(f"{COMPILER} was not found")
    subprocess.run([COMPILER, "-O1", "-static", "-Wall", "-o", path, GUEST / "work.c"], check=True)


def make_tree(root, files):
    """Of text and of bytes, empty and large, links too."""
    for i in range(files):
        path = root / f"folder{i % 37}" / f"deeper{i % 7}" / f"file-{i}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((f"line {i}\n" * (i * 7919 % 600)).encode() + bytes([i % 256]) * (i % 5))
        if i % 50 == 0:
            path.with_suffix(".link").symlink_to(path.name)


def sums(root):
    """What md5sum says of all files below, in one number; the same words as in the guest."""
    lines = sorted(f"{digest(path)}  ./{path.relative_to(root)}\n" for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return hashlib.md5("".join(lines).encode()).hexdigest(), len(lines)


GUEST_SUMS = "find . -type f -print0 | xargs -0 md5sum | LC_ALL=C sort | md5sum | cut -c1-32"


def test_a_guest_and_its_host_read_what_the_other_wrote():
    with folder() as shared:
        (shared / "host").write_bytes(os.urandom(20 << 20))
        with booted("--share", f"{shared}:/mnt") as machine:
            check(machine.ask("md5sum < /mnt/host").split()[0] == digest(shared / "host"), "the host's file")
            machine.ask("head -c 20000000 /dev/urandom > /mnt/guest; sync; echo more >> /mnt/guest")
            check(machine.ask("md5sum < /mnt/guest").split()[0] == digest(shared / "guest"), "the guest's file")
            (shared / "host").write_text("short")
            time.sleep(1.1)  # as long as the guest may believe what it knew
            check(machine.ask("cat /mnt/host") == "short", "the host's change")
            with (shared / "guest").open("a") as file:
                file.write("and the host's\n")
            time.sleep(1.1)
            check(machine.ask("tail -n 1 /mnt/guest") == "and the host's", "the host's addition")
            machine.ask("mkdir /mnt/d && mv /mnt/guest /mnt/d/moved && ln /mnt/d/moved /mnt/linked && chmod 640 /mnt/linked")
            found = (shared / "d" / "moved").stat()
            check((found.st_nlink, stat.S_IMODE(found.st_mode)) == (2, 0o640), "links and mode", found)
            (shared / "d" / "moved").rename(shared / "back")
            time.sleep(1.1)
            check(machine.ask("ls -1 /mnt/d; ls -1 /mnt") == "back\nd\nhost\nlinked", "names")


def test_programs_find_a_whole_file_system_on_a_share():
    with folder() as shared:
        compile_work(shared / "work")
        (shared / "in").mkdir()
        with booted("--share", f"{shared}:/mnt", "--cpus", "2") as machine:
            check(machine.ask("cd /mnt/in && ../work").endswith("the work is done"), "the work")
        check(os.geteuid() != 0 or not stat.S_ISCHR((shared / "in" / "device").stat().st_mode), "a device of the guest's making")


def test_locks_hold_between_a_guest_and_its_host():
    with folder() as shared, (shared / "lock").open("w") as file:
        compile_work(shared / "work")
        fcntl.flock(file, fcntl.LOCK_EX)
        with booted("--share", f"{shared}:/mnt") as machine:
            machine.ask("cd /mnt")
            code, output = machine.shell("./work try lock")
            check(code == 1, "the host's lock does not hold", code, output)
            machine.ask("./work hold lock & sleep 1; test ! -e held")
            check(machine.ask("echo others are served").endswith("others are served"), "the guest waits")
            fcntl.flock(file, fcntl.LOCK_UN)
            machine.ask("while ! test -s held; do sleep 0.1; done")
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                check(False, "the guest's lock does not hold")
            except BlockingIOError:
                pass


def test_a_guest_never_leaves_the_folder():
    with folder() as outer:
        shared = outer / "shared"
        shared.mkdir()
        (outer / "secret").write_text("secret of the host")
        (shared / "link").symlink_to("../secret")
        (shared / "absolute").symlink_to(outer / "secret")
        (shared / "up").symlink_to("..")
        with booted("--share", f"{shared}:/mnt") as machine:
            for name in ("link", "absolute", "up/secret", "../secret", "up/shared/link"):
                check("secret of the host" not in machine.shell(f"cat /mnt/{name}")[1], name)
            machine.shell("echo x > /mnt/link; ln -s / /mnt/root; echo x > /mnt/root/made; cd /mnt; echo y > ../made")
            check(sorted(os.listdir(outer)) == ["secret", "shared"], os.listdir(outer))
            check((outer / "secret").read_text() == "secret of the host", "changed")


def test_several_shares_lie_where_they_are_asked_for_and_one_is_only_read():
    with folder() as first, folder() as second, folder() as third:
        for i, path in enumerate((first, second, third)):
            (path / "name").write_text(f"number {i}")
        options = ["--share", f"{first}:/mnt/one", "--share", f"{second}:/srv/deep/two,ro", "--share", third]
        with booted(*options) as machine:
            check(machine.ask("cat /mnt/one/name /srv/deep/two/name") == "number 0number 1", "names")
            check(machine.ask("mkdir /tmp/c && mount -t virtiofs share2 /tmp/c && cat /tmp/c/name") == "number 2", "by its tag")
            machine.ask("mount -o remount,rw /srv/deep/two")
            for command in ("echo x > name", "rm name", "mkdir d", "chmod 600 name", "mv name n", "ln name n", "touch name"):
                code, output = machine.shell(f"cd /srv/deep/two && {command}")
                check(code != 0 and "Read-only file system" in output, command, output)
            machine.ask("echo changed > /mnt/one/name")
            check((first / "name").read_text() == "changed\n" and (second / "name").read_text() == "number 1", "contents")


def test_four_harts_carry_a_tree_in_and_out_of_a_share():
    files = 1000
    with folder() as shared:
        make_tree(shared / "in", files)
        expected, count = sums(shared / "in")
        check(count == files, count)
        with booted("--share", f"{shared}:/mnt", "--cpus", "4") as machine:
            check(machine.ask(f"cd /mnt/in && {GUEST_SUMS}") == expected, "the guest reads another tree")
            pids = " ".join(f"tar c folder{i}* > /tmp/{i}.tar &" for i in range(1, 4))
            machine.ask(f"cd /mnt/in; {pids} tar c folder[04-9]* > /tmp/0.tar; wait; mkdir /mnt/out; cd /mnt/out")
            machine.ask("for i in 0 1; do tar x < /tmp/$i.tar & done; wait")
            machine.ask("for i in 2 3; do tar x < /tmp/$i.tar & done; wait")
            check(machine.ask(f"cd /mnt/out && {GUEST_SUMS}") == expected, "the guest reads another copy")
            check(sums(shared / "out") == (expected, files), "the host finds another copy")
            machine.ask("rm -r /mnt/out")
        check(sorted(os.listdir(shared)) == ["in"], os.listdir(shared))


def test_a_snapshot_takes_changes_and_leaves_the_folder_as_it_is():
    with folder() as shared, folder() as temporary:
        make_tree(shared / "tree", 100)
        compile_work(shared / "work")
        before, _ = sums(shared)
        options = {"environment": dict(os.environ, TMPDIR=str(temporary))}
        with booted("--share", f"{shared}:/mnt,snapshot", **options) as machine:
            check(len(os.listdir(temporary)) == 1, os.listdir(temporary))
            machine.ask("cd /mnt && rm -r tree/folder1 && echo changed > tree/folder2/deeper2/file-2 && mkdir in && mv work in")
            check(machine.ask("cd /mnt/in && mkdir x && cd x && ../work").endswith("the work is done"), "work")
            check(machine.ask("cat /mnt/tree/folder2/deeper2/file-2; ls -1 /mnt; ls -1 /mnt/tree | grep -c folder") ==
                  "changed\nin\ntree\n36", "what the guest sees")
            machine.process.kill()
            machine.process.wait()
        check(sums(shared)[0] == before and sorted(os.listdir(shared)) == ["tree", "work"], "the folder was changed")
        deadline = time.monotonic() + guest.PATIENCE
        while os.listdir(temporary) and time.monotonic() < deadline:
            time.sleep(0.1)
        check(not os.listdir(temporary), "left behind:", os.listdir(temporary))


def put_system(shared, **options):
    """tiny itself as a tree in the folder, copied by the guest."""
    with booted("--share", f"{shared}:/mnt", **options) as machine:
        machine.ask("cp -a /bin /etc /init /lib /root /sbin /usr /var /mnt && cd /mnt && mkdir dev proc sys run tmp mnt"
                    " && mknod dev/console c 5 1 && sync")


def boot_from(shared, **options):
    kernel, _, append = guest.tiny()
    with Machine("--kernel", kernel, "--share", f"{shared}:/", "--append", f"{append} init=/init", **options) as machine:
        machine.expect(guest.PROMPT)
        check(" / virtiofs rw" in machine.ask("cat /proc/mounts"), "another root")
        machine.ask("echo kept > /root/file && chown 1000:100 /root/file && sync")
        check(machine.ask("stat -c '%u %g' /root/file /bin/busybox") == "1000 100\n0 0", "owners")
        machine.send("exit\r")
        machine.ends_with(0)


def test_a_kernel_boots_with_a_share_as_its_root():
    with folder() as shared:
        put_system(shared)
        boot_from(shared)
        check((shared / "root" / "file").read_text() == "kept\n", "the file")
        kernel, initrd, _ = guest.tiny()
        done = subprocess.run([DOPPEL, "run", "--kernel", kernel, "--initrd", initrd, "--share", f"{shared}:/"],
                              capture_output=True, text=True, check=False)
        check(done.returncode == 2 and "--share" in done.stderr, done.returncode, done.stderr)


def become_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def as_nobody(program, *arguments):
    return Machine(*arguments, environment=dict(os.environ, HOME="/nonexistent"), program=program, before=become_nobody)


def test_a_user_needs_no_privileges_to_share_a_root_file_system():
    if os.geteuid() != 0:
        guest.skip("this test is the others' as an ordinary user; they run as one already")
    kernel, initrd, append = guest.tiny()
    with folder() as outer:
        shared = outer / "shared"
        shared.mkdir()
        os.chmod(outer, 0o755)
        for path in (kernel, initrd):
            shutil.copy(path, outer / path.name)
            os.chmod(outer / path.name, 0o644)
        for name in ("doppel", "doppel-machine"):
            shutil.copy(pathlib.Path(DOPPEL).parent / name, outer / name)
        os.chown(shared, NOBODY, NOBODY)
        compile_work(shared / "work")
        arguments = ["--translation-cache", "off", "--kernel", outer / "kernel", "--append", append]
        machine = as_nobody(outer / "doppel", *arguments, "--initrd", outer / "initrd", "--share", f"{shared}:/mnt")
        with machine:
            machine.expect(guest.PROMPT)
            check(machine.ask("mkdir /mnt/in && cd /mnt/in && ../work && rm -r /mnt/in").endswith("the work is done"), "work")
            machine.ask("cp -a /bin /etc /init /lib /root /sbin /usr /var /mnt && cd /mnt && mkdir dev proc sys run tmp mnt"
                        " && mknod dev/console c 5 1 && chown -R 3:4 etc && chmod 4755 bin/busybox && sync")
        check({path.lstat().st_uid for path in shared.rglob("*")} == {0, NOBODY}, "owners on the host")
        check(stat.S_IMODE((shared / "bin" / "busybox").stat().st_mode) == 0o755, "a program with set-user-id on the host")
        arguments[-1] = f"{append} init=/init"
        with as_nobody(outer / "doppel", *arguments, "--share", f"{shared}:/") as machine:
            machine.expect(guest.PROMPT)
            check(machine.ask("stat -c '%u %g %a' /etc/passwd /bin/busybox") == "3 4 644\n0 0 4755", "owners")
            check(machine.ask("stat -c '%t %T %F' /bin/sh; test -L /bin/sh").endswith("symbolic link"), "links")


def packages(name, *wanted):
    try:
        return debian.tree_of(wanted, cache_folder() / "tests" / name)[0]
    except Failure as problem:
        guest.skip(f"no packages: {problem}")


WITH_GIT = """export HOME=/tmp GIT_PAGER=cat PATH=/usr/bin:/bin
git config --global user.name doppel; git config --global user.email doppel@localhost; git config --global init.defaultBranch main
cd /mnt/in || exit 1
git init -q . && git add -A . && git commit -q -m first || exit 1
git checkout -q -b other && find . -name 'file-*1' -not -path './.git/*' | xargs rm && git commit -q -a -m removed || exit 1
git checkout -q main && for i in 0 1 2 3; do
    echo "line of turn $i" | tee -a folder$i/deeper*/file-* >/tmp/log && git commit -q -a -m "turn $i" || exit 1
done
git merge -q -s ours -m merged other && git gc -q --prune=now && git fsck --full --strict --no-progress || exit 1
git clone -q --no-local file:///mnt/in /mnt/copy && git clone -q /mnt/in /mnt/linked || exit 1
for one in copy linked; do
    cd /mnt/$one && git fsck --full --strict --no-progress && test -z "$(git status --porcelain)" || exit 1
    test "$(git rev-parse HEAD)" = "$(git -C /mnt/in rev-parse HEAD)" || exit 1
    git checkout -q HEAD~2 && git checkout -q main && test -z "$(git status --porcelain)" || exit 1
done
echo all is whole
"""


def long_git_clones_and_checks_a_repository_on_a_share():
    tree = packages("git", "git")
    kernel, initrd, append = guest.tiny()
    guest.PATIENCE = 1200
    with folder() as outer:
        shared = outer / "shared"
        make_tree(shared / "in", 3000)
        with initramfs.over(initrd, outer / "initrd", tree) as cpio:
            cpio.program("work", WITH_GIT.encode())
        options = ["--kernel", kernel, "--initrd", outer / "initrd", "--append", append, "--memory", "2G", "--cpus", "2"]
        with Machine(*options, "--share", f"{shared}:/mnt") as machine:
            machine.expect(guest.PROMPT)
            check(machine.ask("sh /work").endswith("all is whole"), "the work")
            machine.send("poweroff\r")
            machine.ends_with(0)
        for name in ("in", "copy", "linked"):
            if shutil.which("git"):
                subprocess.run(["git", "-c", "safe.directory=*", "-C", shared / name, "fsck", "--full", "--strict"], check=True)
            shutil.rmtree(shared / name / ".git")
        check(sums(shared / "in") == sums(shared / "copy") == sums(shared / "linked"), "the trees differ")


def properties(root):
    """What tar keeps, of all that is below; busybox's leaves the times of folders and links as they come."""
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else digest(path) if path.is_file() else None
        when = int(status.st_mtime) if stat.S_ISREG(status.st_mode) else 0
        found[str(path.relative_to(root))] = (status.st_mode, status.st_uid, status.st_gid, when, content)
    return found


def check_same(one, other, what):
    differ = [(name, one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
    check(not differ, what, len(differ), "differ:", differ[:10])


def long_the_source_of_linux_goes_through_tar_in_and_out_of_a_share_unchanged():
    tree = packages("linux", "linux-source-[0-9.]+")
    archive = next((tree / "usr" / "src").glob("linux-source-*.tar.xz"))
    guest.PATIENCE = 2400
    with folder() as shared:
        (shared / "in").mkdir()
        subprocess.run(["tar", "xf", archive, "-C", shared / "in", "--strip-components=1", "--no-same-owner"], check=True)
        before = properties(shared / "in")
        check(len(before) > 80000, len(before), "files")
        with booted("--share", f"{shared}:/mnt", "--memory", "1G") as machine:
            machine.ask("mkdir /mnt/out && cd /mnt/in && tar cf - . | tar xf - -C /mnt/out")
            code, expected = machine.shell(f"cd /mnt/in && {GUEST_SUMS}")
            check(code == 0 and machine.ask(f"cd /mnt/out && {GUEST_SUMS}") == expected.strip(), "the guest reads another copy")
            machine.send("poweroff\r")
            machine.ends_with(0)
        check_same(before, properties(shared / "in"), "the tree was changed")
        check_same(before, properties(shared / "out"), "the host finds another copy")


if __name__ == "__main__":
    guest.main(globals())
