#include "image/make/debian/boot_initrd.h"

#include <algorithm>

#include "image/make/busybox.h"
#include "image/make/cpio.h"

namespace doppel::image {
namespace {

constexpr std::string_view kModules[] = {"virtio_blk",
                                         "ext4",
                                         "crc32c_generic",
                                         "virtio_net",
                                         "virtio_rng",
                                         "virtio_balloon",
                                         "virtio_input",
                                         "virtio_mmio",
                                         "evdev",
                                         "af_packet",
                                         "vmw_vsock_virtio_transport",
                                         "autofs4",
                                         "efivarfs"};

// Each command is a process, some ten million instructions, that the user waits for. Modules that the kernel has built
// in are not there; modprobe goes on without them. Setup writes without waiting for the disk: what fails is thrown
// away.
constexpr const char* kInit = R"(#!/bin/sh
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
modprobe -a @MODULES@ 2>/dev/null
root=/dev/vda setup= options=noatime
read -r words </proc/cmdline
for word in $words; do
    case $word in
    root=/dev/*) root=${word#root=} ;;
    doppel.setup) setup=1 options=noatime,nobarrier,discard ;;
    esac
done
tries=0
while ! test -b "$root"; do
    test $tries -lt 100 || { echo "there is no disk $root"; exec sh </dev/console >/dev/console 2>&1; }
    tries=$((tries + 1))
    sleep 0.1
done
mount -t ext4 -o $options "$root" /root || { echo "the root file system on $root cannot be mounted"; exec sh </dev/console >/dev/console 2>&1; }
if test -n "$setup"; then
    mount -t proc proc /root/proc
    mount -t sysfs sysfs /root/sys
    mount --bind /dev /root/dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts devpts /root/dev/pts
    mount -t tmpfs tmpfs /root/dev/shm
    mount -t tmpfs -o mode=755 tmpfs /root/run
    chroot /root @SETUP@ </dev/null 2>&1
    echo "doppel-setup: ended $?"
    for where in run dev/shm dev/pts dev sys proc; do umount -l /root/$where; done
    umount /root && echo "doppel-setup: unmounted"
    poweroff -f
fi
case $words in *doppel.share*)
    for word in $words; do
        case $word in doppel.share[0-9]=/*) ;; *) continue ;; esac
        tag=${word%%=*} where=${word#*=} how=rw
        case $where in *,ro) where=${where%,ro} how=ro ;; esac
        mkdir -p "/root$where" && mount -t virtiofs -o $how "${tag#doppel.}" "/root$where"
    done ;;
esac
mount --move /dev /root/dev
mount --move /proc /root/proc
exec switch_root /root /sbin/init
)";

constexpr const char* kNeeded[] = {"sh",     "mount",    "umount",      "mkdir", "modprobe",
                                   "chroot", "poweroff", "switch_root", "sleep"};

std::string init_script() {
    std::string modules, script = kInit;
    for (const std::string_view name : kModules) modules.append(modules.empty() ? "" : " ").append(name);
    auto put = [&](std::string_view mark, std::string_view text) {
        script.replace(script.find(mark), mark.size(), text);
    };
    put("@MODULES@", modules);
    put("@SETUP@", kSetupProgram);
    return script;
}

}  // namespace

std::span<const std::string_view> boot_module_names() {
    return kModules;
}

Result<> write_boot_initrd(const std::filesystem::path& path, std::span<const uint8_t> busybox,
                           const std::string& kernel_version, const std::vector<KernelModule>& modules) {
    const auto applets = busybox_applets(busybox);
    for (const char* name : kNeeded) {
        if (std::ranges::find(applets, name) == applets.end())
            return fail(Error{"make image", "busybox", std::string("it has no command \"") + name + "\"",
                              "choose another suite"});
    }
    DOPPEL_TRY(CpioWriter cpio, CpioWriter::create(path));
    for (const char* folder : {"bin", "dev", "proc", "root", "sys"}) DOPPEL_CHECK(cpio.directory(folder));
    DOPPEL_CHECK(cpio.file("bin/busybox", busybox, 0755));
    for (const char* name : kNeeded) DOPPEL_CHECK(cpio.link(std::string("bin/") + name, "busybox"));
    DOPPEL_CHECK(cpio.character_device("dev/console", 5, 1));  // the kernel opens it before /init can mount /dev
    DOPPEL_CHECK(cpio.file("init", init_script(), 0755));
    DOPPEL_CHECK(write_modules(cpio, kernel_version, modules));
    return cpio.finish();
}

std::string boot_initrd_recipe() {
    return init_script();
}

}  // namespace doppel::image
