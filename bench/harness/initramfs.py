"""The initramfs of the bench and of tests: that of the image tiny, then an archive with programs, which the kernel unpacks over it."""
import contextlib
import os
import pathlib
import stat

BLOCK = 512


class Cpio:
    """Writes the format newc (cpio(5)). What is below one path several times is unpacked in this order."""

    def __init__(self, file):
        self.file = file
        self.number = 0

    def entry(self, path, mode, content=b""):
        self.number += 1
        name = str(path).encode() + b"\0"
        fields = (self.number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        self.file.write(header + b"\0" * (-len(header) % 4) + content + b"\0" * (-len(content) % 4))

    def folder(self, path):
        self.entry(path, stat.S_IFDIR | 0o755)

    def link(self, path, target):
        self.entry(path, stat.S_IFLNK | 0o777, target.encode())

    def program(self, path, content):
        self.entry(path, stat.S_IFREG | 0o755, content)

    def tree(self, root):
        """All that is below `root`, but device nodes and the like."""
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(folders + files):
                path = pathlib.Path(folder) / name
                mode = path.lstat().st_mode
                inside = path.relative_to(root)
                if stat.S_ISLNK(mode):
                    self.link(inside, os.readlink(path))
                elif stat.S_ISDIR(mode):
                    self.folder(inside)
                elif stat.S_ISREG(mode):
                    self.entry(inside, stat.S_IFREG | stat.S_IMODE(mode), path.read_bytes())

    def finish(self):
        self.entry("TRAILER!!!", 0)
        self.file.write(b"\0" * (-self.file.tell() % BLOCK))


@contextlib.contextmanager
def over(tiny_initrd, path, tree=None):
    """A Cpio for what comes over that of tiny and `tree`, a distribution's or none; all of it becomes `path`."""
    with path.open("wb") as file:
        file.write(tiny_initrd.read_bytes())
        file.write(b"\0" * (-file.tell() % BLOCK))
        cpio = Cpio(file)
        if tree:
            cpio.tree(tree)
            # Debian's base-files make lib a link to usr/lib; in tiny it is a folder.
            for path_in_lib in ("lib/ld-linux-riscv64-lp64d.so.1", "lib/riscv64-linux-gnu"):
                cpio.link(path_in_lib, f"/usr/{path_in_lib}")
        yield cpio
        cpio.finish()


def write(path, tiny_initrd, programs, program, tree=None):
    """`programs` is the folder of the sources, `program` what they were compiled to, `tree` as above."""
    with over(tiny_initrd, path, tree) as cpio:
        cpio.program("init", (programs / "init").read_bytes())
        cpio.folder("bench")
        cpio.folder("bench/scratch")
        cpio.program("bench/bench", program.read_bytes())
        for name in ("workload", "work.sql", "work.py"):
            cpio.program(f"bench/{name}", (programs / name).read_bytes())
