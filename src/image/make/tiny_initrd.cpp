#include "image/make/tiny_initrd.h"

#include <algorithm>
#include <set>

#include "image/make/busybox.h"
#include "image/make/cpio.h"

namespace doppel::image {

namespace {

// Each command is a process, some ten million instructions, that the user waits for: only what a shell needs.
// Disks and network cards are looked for by the shell alone: read and test are its own.
// A plain `poweroff` or `reboot` signals process 1 (busybox init/halt.c) and leaves the rest to it; hence the traps,
// and the shell in the background, because a trap waits for a foreground command. cttyhack finds the terminal behind
// /dev/console, which cannot be a controlling terminal itself: job control and Ctrl-C need one. login gives SIGINT its
// default action back: a background command starts with it ignored (POSIX, 2.11 of the shell command language). The
// agent comes after the shell, so that nobody waits for it.
constexpr const char* kInit = R"(#!/bin/sh
export PATH=/bin TERM="${TERM:-linux}"
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir /dev/pts && mount -t devpts devpts /dev/pts
hostname tiny
for device in /sys/bus/virtio/devices/*/device; do
    test -e "$device" && read -r id <"$device" || continue
    case $id in 0x0001) card=1 ;; 0x0002) disk=1 ;; esac
done
test -z "$disk" || modprobe virtio_blk
if test -n "$card"; then
    modprobe virtio_net
    ip link set lo up
    for card in /sys/class/net/eth*; do
        ip link set "${card##*/}" up && udhcpc -q -n -t 5 -T 1 -i "${card##*/}" -s /etc/udhcpc.script >/dev/null 2>&1
    done
fi
read -r words </proc/cmdline
case $words in *doppel.share*)
    for word in $words; do
        case $word in doppel.share[0-9]=/*) ;; *) continue ;; esac
        tag=${word%%=*} where=${word#*=} how=rw
        case $where in *,ro) where=${where%,ro} how=ro ;; esac
        mkdir -p "$where" && mount -t virtiofs -o $how "${tag#doppel.}" "$where"
    done ;;
esac
trap 'poweroff -f' USR2
trap 'halt -f' USR1
trap 'reboot -f' TERM
setsid cttyhack login -p -f root </dev/console >/dev/console 2>&1 &
shell=$!
@AGENT@wait $shell
poweroff -f
)";
// What udhcpc calls with a lease. IPv6 is the kernel's own.
constexpr const char* kLeaseScript = R"(#!/bin/sh
case $1 in bound|renew) ;; *) exit 0 ;; esac
ip addr flush dev "$interface" scope global
ip addr add "$ip/$mask" dev "$interface"
for gateway in $router; do ip route add default via "$gateway" dev "$interface"; done
for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
)";

constexpr std::string_view kAgentPlace = "@AGENT@";
constexpr const char* kAgentLine = "doppel-agent --supervise </dev/null >/dev/null 2>&1 &\n";

constexpr const char* kNeeded[] = {"sh",       "mount", "mkdir", "hostname", "setsid",
                                   "cttyhack", "login", "halt",  "poweroff", "reboot"};

Result<> write_directories(CpioWriter& cpio) {
    for (const char* path : {"bin", "dev", "etc", "mnt", "proc", "root", "run", "sys", "usr", "var"}) {
        DOPPEL_CHECK(cpio.directory(path));
    }
    DOPPEL_CHECK(cpio.directory("tmp", 01777));
    for (const char* path : {"sbin", "usr/bin", "usr/sbin"}) {
        DOPPEL_CHECK(cpio.link(path, "/bin"));
    }
    return cpio.link("var/run", "/run");
}

std::string init_script(bool with_agent) {
    std::string script = kInit;
    return script.replace(script.find(kAgentPlace), kAgentPlace.size(), with_agent ? kAgentLine : "");
}

Result<> write_configuration(CpioWriter& cpio, const std::string& greeting, bool with_agent) {
    DOPPEL_CHECK(cpio.file("etc/passwd", "root::0:0:root:/root:/bin/sh\n"));
    DOPPEL_CHECK(cpio.file("etc/group", "root:x:0:\ntty:x:5:\n"));
    DOPPEL_CHECK(cpio.file("etc/profile", "PS1='\\h:\\w# '\n"));
    DOPPEL_CHECK(cpio.file("etc/udhcpc.script", kLeaseScript, 0755));
    DOPPEL_CHECK(cpio.file("etc/motd", greeting + "\n"));
    DOPPEL_CHECK(cpio.character_device("dev/console", 5, 1));  // the kernel opens it before /init can mount /dev
    return cpio.file("init", init_script(with_agent), 0755);
}

// The line of modules.dep(5).
std::string dependencies_of(const KernelModule& module, const std::vector<KernelModule>& all) {
    std::string line = module.path + ":";
    for (const std::string& needed : module.needs) {
        auto found = std::ranges::find_if(
            all, [&](const KernelModule& one) { return one.path == needed || one.path.starts_with(needed + "."); });
        if (found != all.end()) line += " " + found->path;
    }
    return line + "\n";
}

}  // namespace

Result<> write_modules(CpioWriter& cpio, const std::string& kernel_version, const std::vector<KernelModule>& modules) {
    if (modules.empty()) return {};
    std::string root = "lib/modules/" + kernel_version + "/";
    std::string dependencies;
    std::set<std::string> directories;
    for (const KernelModule& module : modules) {
        std::string path = root + module.path;
        for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
            std::string directory = path.substr(0, slash);
            if (directories.insert(directory).second) DOPPEL_CHECK(cpio.directory(directory));
        }
        DOPPEL_CHECK(cpio.file(path, module.content));
        dependencies += dependencies_of(module, modules);
    }
    return cpio.file(root + "modules.dep", dependencies);
}

Result<> write_tiny_initrd(const std::filesystem::path& path, const TinyContent& content) {
    auto applets = busybox_applets(content.busybox);
    for (const char* name : kNeeded) {
        if (std::find(applets.begin(), applets.end(), name) == applets.end())
            return fail(Error{"make image", "busybox", std::string("it has no command \"") + name + "\"",
                              "choose another suite with --suite"});
    }
    DOPPEL_TRY(CpioWriter cpio, CpioWriter::create(path));
    DOPPEL_CHECK(write_directories(cpio));
    DOPPEL_CHECK(cpio.file("bin/busybox", content.busybox, 0755));
    for (const auto& name : applets) {
        if (name == "busybox" || name == "init" || name == "linuxrc") continue;  // /init is ours
        DOPPEL_CHECK(cpio.link("bin/" + name, "busybox"));
    }
    if (!content.agent.empty()) DOPPEL_CHECK(cpio.file("bin/doppel-agent", content.agent, 0755));
    DOPPEL_CHECK(write_configuration(cpio, content.greeting, !content.agent.empty()));
    DOPPEL_CHECK(write_modules(cpio, content.kernel_version, content.modules));
    return cpio.finish();
}

std::string tiny_initrd_recipe() {
    return std::string(kInit) + kLeaseScript;
}

}  // namespace doppel::image
