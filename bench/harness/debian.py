"""Debian's packages of another architecture, through apt in a root of its own: apt verifies, nothing of the machine is touched.

As src/image/make/apt_archive.h does it for one package; here with all that they depend on."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from harness.failure import fail

SUITE = "stable"
CONFIGURATION = """#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Default-Release;
#clear APT::Architectures;
#clear Acquire::Languages;
#clear DPkg::Pre-Install-Pkgs;
APT::Architecture "ARCH";
APT::Architectures { "ARCH"; };
APT::Get::AllowUnauthenticated "false";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages { "none"; };
Acquire::PDiffs "false";
Acquire::Retries "2";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourceparts "/dev/null";
"""
# None of it is needed to run the programs.
LEFT_OUT = ("usr/share/doc", "usr/share/doc-base", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian",
            "usr/share/bug", "usr/share/zoneinfo", "usr/share/python3", "usr/lib/riscv64-linux-gnu/gconv")


def run(command, **options):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          env=os.environ | {"LC_ALL": "C"}, **options)
    if done.returncode != 0:
        fail(f"{' '.join(map(str, command[:2]))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def mirror():
    """The address of the main Debian archive that apt is configured with, or DOPPEL_MIRROR."""
    if os.environ.get("DOPPEL_MIRROR"):
        return os.environ["DOPPEL_MIRROR"]
    for release_info in ("--release-info", "--no-release-info"):  # without origin and label before the first `apt-get update`
        known = run(["apt-get", "indextargets", release_info, "--format", "$(SITE)|$(ORIGIN)|$(LABEL)|$(RELEASE)|$(COMPONENT)"])
        for line in known.splitlines():
            site, origin, label, release, component = line.split("|")
            named = (origin, label) == ("Debian", "Debian")
            guessed = origin.startswith("$(") and "debian" in site and "security" not in site + release
            if component == "main" and (named or guessed):
                return site
    fail("find mirror: apt: it is configured with no Debian archive; give one as DOPPEL_MIRROR")


def keyring():
    for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp"):
        path = pathlib.Path("/usr/share/keyrings") / name
        if path.exists():
            return path
    fail("verify mirror: the Debian archive keyring is missing; install the package debian-archive-keyring")


def download(folder, packages, architecture):
    """The packages and what they depend on, as .deb files below `folder`."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    (folder / "apt.conf").write_text(CONFIGURATION.replace("ARCH", architecture))
    (folder / "status").write_text("")
    (folder / "archive.sources").write_text(f"Types: deb\nURIs: {mirror()}\nSuites: {SUITE}\nComponents: main\n"
                                            f"Architectures: {architecture}\nTargets: Packages\nSigned-By: {keyring()}\n")
    apt = ["apt-get", "-q", "-c", folder / "apt.conf", "-o", f"Dir::State={folder}/state/", "-o",
           f"Dir::State::status={folder}/status", "-o", f"Dir::Cache={folder}/cache/", "-o",
           f"Dir::Etc::sourcelist={folder}/archive.sources"]
    run([*apt, "update"])
    run([*apt, "install", "-y", "--download-only", *packages])
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def unpack(deb, tree):
    """Unpacks into `tree`; returns the package's name and version."""
    run(["dpkg-deb", "--extract", deb, tree])
    name, version = run(["dpkg-deb", "--show", "--showformat=${Package} ${Version}", deb]).split()
    return name, version


def tree_of(packages, cache, architecture="riscv64"):
    """(folder with the unpacked packages, {name: version}); fetched once and kept below `cache`. Names may be regular expressions,
    which mean the same to apt."""
    kept = cache / f"debian-{architecture}"
    record = kept / "packages.json"
    if record.exists():
        versions = json.loads(record.read_text())
        if all(any(re.fullmatch(wanted, name) for name in versions) for wanted in packages):
            return kept / "tree", versions
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".debian-", dir=cache) as staging:
        staging = pathlib.Path(staging)
        made = staging / "made"
        tree = made / "tree"
        tree.mkdir(parents=True)
        versions = dict(unpack(deb, tree) for deb in download(staging, packages, architecture))
        for path in LEFT_OUT:
            shutil.rmtree(tree / path, ignore_errors=True)
        (made / "packages.json").write_text(json.dumps(versions, indent=2) + "\n")
        if kept.exists():
            kept.rename(staging / "replaced")
        made.rename(kept)
    return kept / "tree", versions
