"""A small Debian archive in a temporary directory, signed by a throwaway key and served on 127.0.0.1."""

import contextlib
import functools
import hashlib
import http.server
import io
import lzma
import pathlib
import subprocess
import tarfile
import tempfile
import threading

KERNEL_VERSION = "6.99.0-doppel-riscv64"
KERNEL = b"MZ this stands for a kernel " * 1000
MODULE = "kernel/drivers/char/hw_random/virtio-rng.ko.xz"
APPLETS = ["[", "[[", "ash", "busybox", "cat", "cttyhack", "halt", "hostname", "login", "mkdir", "mknod", "mount", "poweroff",
           "reboot", "setsid", "sh", "tr", "wc"]
BUSYBOX = b"\x7fELF this stands for busybox" + b"".join(name.encode() + b"\0" for name in APPLETS) + b"\0"


def build_deb(files):
    """A package (deb(5)) with `files`: path to content."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo("./" + path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    archive = b"!<arch>\n"
    for name, content in {"debian-binary": b"2.0\n", "data.tar.xz": lzma.compress(data.getvalue(), preset=0)}.items():
        archive += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
    return archive


class Key:
    """A signing key of its own; `keyring` holds its public half."""

    def __init__(self, folder):
        self.home = pathlib.Path(folder)
        self.home.mkdir(mode=0o700)
        self._gpg("--quick-generate-key", "nobody@example.invalid", "ed25519", "sign", "never")
        self.keyring = self.home / "keyring.gpg"
        self.keyring.write_bytes(self._gpg("--export"))

    def _gpg(self, *arguments, text=None):
        return subprocess.run(["gpg", "--homedir", self.home, "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback",
                               *arguments], input=text, check=True, capture_output=True).stdout

    def sign(self, text):
        return self._gpg("--clearsign", text=text)

    def close(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False, capture_output=True)


class Mirror:
    """`root` is what is served; `address` is for --mirror; `requests` are the paths asked for. What a test changes in `root` after
    publish() is tampered with; after publish() again it is genuine."""

    def __init__(self, folder, kernel=KERNEL):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.root = self.folder / "debian"
        self.key = Key(self.folder / "key")
        self.requests = []
        self.hold = threading.Event()  # while clear, requests for packages wait
        self.hold.set()
        self.asked_for_package = threading.Event()
        version = "6.99.0-1"
        self.add("linux-image-riscv64", version, {"usr/share/doc/x": b"meta"}, f"linux-image-{KERNEL_VERSION} (= {version})")
        self.kernel_deb = self.add(f"linux-image-{KERNEL_VERSION}", version,
                                   {"boot/config-x": b"#", f"boot/vmlinux-{KERNEL_VERSION}": kernel,
                                    f"usr/lib/modules/{KERNEL_VERSION}/{MODULE}": b"module"})
        self.busybox_deb = self.add("busybox-static", "1:1.99.0-1", {"usr/bin/busybox": BUSYBOX})
        self.publish()

    def add(self, name, version, files, depends=""):
        content = build_deb(files)
        pool = self.root / "pool" / f"{name}_{version.split(':')[-1]}_riscv64.deb"
        pool.parent.mkdir(parents=True, exist_ok=True)
        pool.write_bytes(content)
        stanza = {"Package": name, "Version": version, "Architecture": "riscv64", "Maintainer": "nobody", "Depends": depends,
                  "Filename": str(pool.relative_to(self.root)), "Size": len(content), "SHA256": hashlib.sha256(content).hexdigest(),
                  "Description": "stands for a package"}
        index = self.root / "dists/stable/main/binary-riscv64/Packages"
        index.parent.mkdir(parents=True, exist_ok=True)
        with index.open("a") as file:
            file.write("".join(f"{key}: {value}\n" for key, value in stanza.items() if value) + "\n")
        return pool

    @property
    def index(self):
        return self.root / "dists/stable/main/binary-riscv64/Packages"

    @property
    def release(self):
        return self.root / "dists/stable/InRelease"

    def release_text(self):
        content = self.index.read_bytes()
        return ("Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: fake\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
                "Architectures: riscv64\nComponents: main\nSHA256:\n"
                f" {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-riscv64/Packages\n").encode()

    def publish(self, key=None):
        self.release.write_bytes((key or self.key).sign(self.release_text()))

    def serve(self):
        mirror = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path)
                if self.path.endswith(".deb"):
                    mirror.asked_for_package.set()
                    mirror.hold.wait()
                with contextlib.suppress(ConnectionError):
                    super().do_GET()

            def log_message(self, *_):
                pass

        handler = functools.partial(Handler, directory=self.folder)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}/debian"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop_serving(self):
        self.server.shutdown()
        self.server.server_close()

    def packages_asked_for(self):
        return [path for path in self.requests if path.endswith(".deb")]


@contextlib.contextmanager
def mirror(**options):
    with tempfile.TemporaryDirectory(prefix="dpl-") as folder:  # short: gpg-agent's socket lies below it
        made = Mirror(folder, **options)
        made.serve()
        try:
            yield made
        finally:
            made.hold.set()
            made.stop_serving()
            made.key.close()
