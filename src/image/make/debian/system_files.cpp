#include "image/make/debian/system_files.h"

#include "image/make/debian/agent_unit.h"
#include "image/make/debian/boot_initrd.h"

namespace doppel::image {
namespace {

struct File {
    const char* path;
    const char* content;
};

// systemd looks for units that a machine of doppel has no use for, and each costs the time of a boot.
constexpr const char* kMasked[] = {"apt-daily.timer",
                                   "apt-daily-upgrade.timer",
                                   "dpkg-db-backup.timer",
                                   "e2scrub_all.timer",
                                   "e2scrub_reap.service",
                                   "fstrim.timer",
                                   "systemd-pstore.service",
                                   "systemd-networkd-wait-online.service",
                                   "getty@tty1.service",
                                   "dev-hugepages.mount",
                                   "dev-mqueue.mount",
                                   "run-lock.mount",
                                   "tmp.mount",
                                   "sys-kernel-debug.mount",
                                   "sys-kernel-tracing.mount",
                                   "sys-kernel-config.mount",
                                   "sys-fs-fuse-connections.mount",
                                   "proc-sys-fs-binfmt_misc.automount",
                                   "kmod-static-nodes.service",
                                   "modprobe@configfs.service",
                                   "modprobe@drm.service",
                                   "modprobe@efi_pstore.service",
                                   "modprobe@fuse.service",
                                   "modprobe@dm_mod.service",
                                   "modprobe@loop.service",
                                   "systemd-hwdb-update.service",
                                   "systemd-journal-catalog-update.service",
                                   "systemd-journal-flush.service",
                                   "systemd-random-seed.service",
                                   "systemd-update-done.service",
                                   "ldconfig.service",
                                   "systemd-firstboot.service",
                                   "systemd-sysusers.service",
                                   "systemd-networkd-persistent-storage.service",
                                   "systemd-tpm2-setup.service",
                                   "systemd-tpm2-setup-early.service",
                                   "systemd-binfmt.service",
                                   "systemd-modules-load.service"};
// Generators are programs that run before anything starts.
constexpr const char* kMaskedGenerators[] = {"systemd-bless-boot-generator",
                                             "systemd-cryptsetup-generator",
                                             "systemd-gpt-auto-generator",
                                             "systemd-hibernate-resume-generator",
                                             "systemd-integritysetup-generator",
                                             "systemd-rc-local-generator",
                                             "systemd-ssh-generator",
                                             "systemd-system-update-generator",
                                             "systemd-sysv-generator",
                                             "systemd-tpm2-generator",
                                             "systemd-veritysetup-generator",
                                             "systemd-import-generator"};

constexpr File kFiles[] = {
    {"etc/hostname", "debian\n"},
    {"etc/hosts", "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost ip6-loopback\n"},
    {"etc/locale.conf", "LANG=C.UTF-8\n"},
    {"etc/default/locale", "LANG=C.UTF-8\n"},
    {"etc/systemd/network/80-doppel.network",
     "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\nMulticastDNS=no\nLLMNR=no\n\n"
     "[DHCPv4]\nClientIdentifier=mac\n"},
    {"etc/systemd/journald.conf.d/doppel.conf", "[Journal]\nStorage=volatile\nAudit=no\n"},
    {"etc/systemd/system.conf.d/doppel.conf", "[Manager]\nShowStatus=no\n"},
    // Debian's own waits for the network.
    {"etc/systemd/system/systemd-user-sessions.service",
     "[Unit]\nDescription=Permit User Sessions\nAfter=nss-user-lookup.target\n\n[Service]\nType=oneshot\n"
     "RemainAfterExit=yes\nExecStart=/usr/lib/systemd/systemd-user-sessions start\n"
     "ExecStop=/usr/lib/systemd/systemd-user-sessions stop\n"},
    // systemd-networkd asks for wireless cards, and the kernel would load all of this for the answer.
    {"etc/modprobe.d/doppel.conf", "blacklist cfg80211\n"},
    {"etc/systemd/system/doppel-ssh-keys.service",
     "[Unit]\nDescription=Keys of this machine's ssh server\n"
     "ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key\nBefore=ssh.service\n\n"
     "[Service]\nType=oneshot\nExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N \"\" -f /etc/ssh/ssh_host_ed25519_key\n"},
    {"etc/systemd/system/ssh.service.d/doppel.conf",
     "[Unit]\nWants=doppel-ssh-keys.service\nAfter=doppel-ssh-keys.service\n"},
    {"etc/systemd/system/doppel-ssh-vsock.socket",
     "[Unit]\nDescription=ssh over vsock\nConditionPathExists=/dev/vsock\n\n"
     "[Socket]\nListenStream=vsock::22\nAccept=yes\nPollLimitBurst=0\n\n[Install]\nWantedBy=sockets.target\n"},
    {"etc/systemd/system/doppel-ssh-vsock@.service",
     "[Unit]\nDescription=ssh over vsock, one connection\nWants=doppel-ssh-keys.service\n"
     "After=doppel-ssh-keys.service\n\n[Service]\nExecStart=-/usr/sbin/sshd -i -o UseDNS=no\nStandardInput=socket\n"
     "RuntimeDirectory=sshd\nRuntimeDirectoryPreserve=yes\nRuntimeDirectoryMode=0755\n"},
    {"etc/motd", "\nDebian in a machine of doppel: `sudo poweroff` ends it.\n\n"}};

// Debian's own waits until udev has seen the line, and until nothing else starts.
std::string autologin(const std::string& user) {
    return "[Unit]\nDescription=Login on ttyS0\nConditionPathExists=/dev/ttyS0\nBefore=getty.target\n"
           "After=systemd-user-sessions.service\nConflicts=rescue.service\nBefore=rescue.service\n"
           "IgnoreOnIsolate=yes\n\n[Service]\nExecStart=-/sbin/agetty --autologin " +
           user +
           " --noreset --noclear --keep-baud 115200 - vt220\nRestart=always\nUtmpIdentifier=ttyS0\n"
           "StandardInput=tty\nStandardOutput=tty\nTTYPath=/dev/ttyS0\nTTYReset=yes\nTTYVHangup=yes\n"
           "IgnoreSIGPIPE=no\nSendSIGHUP=yes\n\n[Install]\nWantedBy=getty.target\n";
}

std::string sources(const DebianSettings& settings) {
    return "Types: deb\nURIs: " + settings.mirror + "\nSuites: " + settings.suite +
           "\nComponents: main\nSigned-By: " + settings.keyring + "\n";
}

// PATH begins with programs that do nothing: what they make is made on the host already (depmod, the initrd), or is no
// use to a machine and would take minutes here. dpkg asks nobody, and waits for no disk.
constexpr const char* kSetup = R"SH(#!/bin/sh
set -e
export PATH=/doppel/stubs:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true DEBCONF_NOWARNINGS=yes
user=@USER@ uid=@UID@
while read -r script; do
    name=${script%.preinst}
    env DPKG_MAINTSCRIPT_NAME=preinst "DPKG_MAINTSCRIPT_PACKAGE=${name%%:*}" DPKG_MAINTSCRIPT_ARCH=@ARCH@ \
        DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_RUNNING_VERSION=1.22.0 DPKG_ROOT= DPKG_ADMINDIR=/var/lib/dpkg \
        "/var/lib/dpkg/info/$script" install
done </doppel/preinsts
while read -r mode owner path; do
    chown -h "$owner" "/$path"
    chmod "$mode" "/$path"
done </doppel/attributes
for name in rsa ecdsa ed25519; do
    : >/etc/ssh/ssh_host_${name}_key
    : >/etc/ssh/ssh_host_${name}_key.pub
done
dpkg --force-depends --force-unsafe-io --status-fd 3 --configure base-passwd base-files mawk 3>&1
dpkg --force-unsafe-io --status-fd 3 --configure --pending 3>&1
audit=$(dpkg --audit)
case $audit in ?*) echo "dpkg: $audit"; exit 1 ;; esac
rm -f /etc/ssh/ssh_host_*
if test $uid -ne 0; then
    groupadd --gid $uid $user
    useradd --uid $uid --gid $uid --create-home --shell /bin/bash --groups sudo,adm,systemd-journal $user
    echo "$user ALL=(ALL:ALL) NOPASSWD: ALL" >/etc/sudoers.d/doppel
    chmod 440 /etc/sudoers.d/doppel
fi
passwd -l root >/dev/null
if test -s /doppel/keys; then
    home=$(getent passwd $user | cut -d: -f6)
    install -d -m 700 -o $user -g $user $home/.ssh
    install -m 600 -o $user -g $user /doppel/keys $home/.ssh/authorized_keys
fi
systemctl -q disable ssh.service
systemctl -q enable ssh.socket doppel-ssh-vsock.socket systemd-networkd.service systemd-resolved.service serial-getty@ttyS0.service
test ! -e /etc/systemd/system/doppel-agent.service || systemctl -q enable doppel-agent.service
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed
rm -rf /var/log/journal /var/cache/debconf/*-old /var/lib/dpkg/*-old /doppel
echo "@DONE@"
)SH";

constexpr const char* kStubs[] = {"depmod", "update-initramfs", "systemd-hwdb", "invoke-rc.d"};

std::string setup_script(const DebianSettings& settings) {
    std::string script = kSetup;
    auto put = [&](std::string_view mark, std::string_view text) {
        script.replace(script.find(mark), mark.size(), text);
    };
    put("@USER@", settings.user.name);
    put("@UID@", std::to_string(settings.user.uid));
    put("@ARCH@", "riscv64");
    put("@DONE@", kSetupDone);
    return script;
}

// base-passwd's comes first: others name users and groups.
std::string ordered(const std::vector<std::string>& preinsts) {
    std::string first, rest;
    for (const std::string& one : preinsts) (one == "base-passwd.preinst" ? first : rest) += one + "\n";
    return first + rest;
}

std::string attribute_lines(const std::vector<Attributes>& attributes) {
    std::string lines;
    for (const Attributes& one : attributes) {
        char mode[8];
        std::snprintf(mode, sizeof mode, "%04o", one.mode);
        lines +=
            std::string(mode) + " " + std::to_string(one.uid) + ":" + std::to_string(one.gid) + " " + one.path + "\n";
    }
    return lines;
}

}  // namespace

Result<> write_system_files(TreeWriter& tree, const DebianSettings& settings, std::span<const uint8_t> agent) {
    for (const File& file : kFiles) DOPPEL_CHECK(tree.write(file.path, std::string_view(file.content)));
    for (const char* unit : kMasked)
        DOPPEL_CHECK(tree.symbolic_link(std::string("etc/systemd/system/") + unit, "/dev/null"));
    for (const char* generator : kMaskedGenerators)
        DOPPEL_CHECK(tree.symbolic_link(std::string("etc/systemd/system-generators/") + generator, "/dev/null"));
    DOPPEL_CHECK(tree.write("etc/systemd/system/serial-getty@ttyS0.service", autologin(settings.user.name)));
    DOPPEL_CHECK(tree.write("etc/apt/sources.list.d/debian.sources", sources(settings)));
    if (agent.empty()) return {};
    DOPPEL_CHECK(tree.write("etc/systemd/system/doppel-agent.service", std::string_view(kAgentUnit)));
    return tree.write("usr/local/sbin/doppel-agent", agent, 0755);
}

Result<> write_setup(TreeWriter& tree, const DebianSettings& settings, const SetupInput& input) {
    // The setup's own name without its '/'.
    DOPPEL_CHECK(tree.write(std::string(kSetupProgram.substr(1)), setup_script(settings), 0755));
    DOPPEL_CHECK(tree.write("doppel/preinsts", ordered(input.preinsts)));
    DOPPEL_CHECK(tree.write("doppel/attributes", attribute_lines(input.attributes)));
    DOPPEL_CHECK(tree.write("doppel/keys", settings.user.keys));
    for (const char* name : kStubs)
        DOPPEL_CHECK(tree.write(std::string("doppel/stubs/") + name, "#!/bin/sh\nexit 0\n", 0755));
    return tree.write("etc/fstab", "UUID=" + input.uuid + " / ext4 noatime,errors=remount-ro 0 1\n");
}

std::string system_recipe() {
    std::string text = std::string(kSetup) + kAgentUnit + autologin("") + sources({});
    for (const File& file : kFiles) text.append(file.path).append(file.content);
    for (const char* unit : kMasked) text.append(unit);
    for (const char* generator : kMaskedGenerators) text.append(generator);
    for (const char* name : kStubs) text.append(name);
    return text;
}

}  // namespace doppel::image
