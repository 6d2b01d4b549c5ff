#include "image/make/debian/debian.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <system_error>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/progress.h"
#include "image/lock.h"
#include "image/make/deb.h"
#include "image/make/debian/boot_initrd.h"
#include "image/make/debian/boot_modules.h"
#include "image/make/debian/disk.h"
#include "image/make/debian/dpkg_database.h"
#include "image/make/debian/setup_machine.h"
#include "image/make/debian/system_files.h"
#include "image/make/debian/unpack.h"
#include "image/make/digest.h"
#include "image/make/package_cache.h"
#include "image/make/staging.h"

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kWorkingSpace = 2500ull << 20;  // bytes: tree, raw disk and qcow2 disk at the same time
constexpr uint64_t kFileLimit = 256ull << 20;      // bytes of busybox, agent
constexpr const char* kRecipeName = "doppel-recipe";
constexpr const char* kAgentName = "doppel-agent";
constexpr const char* kKernelPackage = "linux-image-riscv64";

// What every Debian has, and what makes it a machine that one works on.
constexpr std::string_view kPackages[] = {"?essential",
                                          "apt",
                                          "adduser",
                                          "ca-certificates",
                                          "dbus",
                                          "debian-archive-keyring",
                                          "e2fsprogs",
                                          "initramfs-tools",
                                          "iproute2",
                                          "iputils-ping",
                                          "kmod",
                                          "less",
                                          "libnss-myhostname",
                                          "login",
                                          "nano",
                                          "netbase",
                                          "openssh-server",
                                          "passwd",
                                          "procps",
                                          "sudo",
                                          "systemd",
                                          "systemd-resolved",
                                          "systemd-sysv",
                                          "tzdata",
                                          "udev",
                                          kKernelPackage};

class DebianMaker {
  public:
    DebianMaker(const Catalog& catalog, const DebianOptions& options)
        : catalog_(catalog), options_(options), name_(debian_name(options.archive.suite)) {}

    Result<Image> make() {
        DOPPEL_CHECK(read_agent());
        if (auto there = find()) return std::move(*there);
        DOPPEL_TRY(const UniqueFd lock, lock_directory(catalog_.directory(), options_.stop, options_.waiting));
        if (auto there = find()) return std::move(*there);
        const fs::path destination = catalog_.directory_of(name_, arch());
        DOPPEL_TRY(const Staging staging,
                   Staging::create(catalog_.directory() / (".staging-" + destination.filename().string())));
        // Half a system must not be read, or its programs run, by other users.
        ::chmod(staging.path().c_str(), S_IRWXU);
        DOPPEL_CHECK(fill(staging.path()));
        DOPPEL_CHECK(staging.publish("image", destination));
        DOPPEL_TRY(auto made, catalog_.find(name_, arch()));
        if (!made) return fail(Error{"make image", name_, "it was removed as soon as it was made", "make it again"});
        return std::move(*made);
    }

  private:
    const std::string& arch() const { return options_.archive.architecture; }

    Result<> read_agent() {
        std::error_code code;
        if (options_.agent.empty() || !fs::exists(options_.agent, code)) return {};
        DOPPEL_TRY(agent_, read_file(options_.agent, kFileLimit, "read the guest's agent"));
        DOPPEL_TRY(const ImageFile measured, measure_file(options_.agent));
        agent_version_ = measured.sha256;
        return {};
    }

    // Of its own recipe, whatever agent it has: a new build of doppel is no reason to wait for minutes.
    std::optional<Image> find() const {
        if (options_.refresh) return std::nullopt;
        auto there = catalog_.find(name_, arch());
        if (!there || !*there) return std::nullopt;
        const auto found = (*there)->packages.find(kRecipeName);
        if (found == (*there)->packages.end() || found->second != recipe()) return std::nullopt;
        return std::move(*there);
    }

    std::string recipe() const {
        std::string text = system_recipe() + boot_initrd_recipe();
        for (const std::string_view package : kPackages) text.append(package).append(" ");
        for (const std::string& package : options_.packages) text.append(package).append(" ");
        text += fmt::format("{} {} {}", options_.size, options_.user.name, options_.user.uid);
        return fmt::format("{:016x}", hash64({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
    }

    Result<> fill(const fs::path& staging) {
        for (const char* folder : {"image", "tree"}) {
            std::error_code code;
            fs::create_directory(staging / folder, code);
            if (code) return fail(Error::system("create directory", staging / folder, code.value()));
        }
        DOPPEL_CHECK(check_free_space(staging, kWorkingSpace));
        DOPPEL_TRY(const AptArchive archive, AptArchive::open(staging / "apt", options_.archive, options_.stop));
        DOPPEL_TRY(const auto debs, fetch(archive));
        DOPPEL_TRY(const auto busybox, take_busybox(archive, staging));
        DOPPEL_TRY(TreeWriter tree, TreeWriter::open(staging / "tree"));
        SetupInput setup;
        DOPPEL_TRY(setup.uuid, new_uuid());
        DatabaseOf made;
        DOPPEL_CHECK(unpack(debs, tree, setup, made));
        DOPPEL_CHECK(write_boot_files(tree, busybox, staging / "image"));
        std::error_code code;
        std::string keyring = kKeyring;
        if (!fs::exists(staging / "tree" / keyring, code)) keyring = kOlderKeyring;
        const DebianSettings settings{options_.archive.suite, archive.mirror(), "/" + keyring, options_.user};
        DOPPEL_CHECK(write_system_files(tree, settings, agent_));
        DOPPEL_CHECK(write_setup(tree, settings, setup));
        DOPPEL_CHECK(make_disk(staging, setup, made.packages.size()));
        return write_record(staging / "image", std::move(made.packages));
    }

    Result<std::vector<fs::path>> fetch(const AptArchive& archive) const {
        std::vector<std::string> wanted(std::begin(kPackages), std::end(kPackages));
        wanted.insert(wanted.end(), options_.packages.begin(), options_.packages.end());
        const fs::path folder = catalog_.directory().parent_path() / "packages";
        DOPPEL_TRY(auto debs, archive.download_all(wanted, folder));
        DOPPEL_CHECK(trim_package_cache(folder));
        return debs;
    }

    Result<std::vector<uint8_t>> take_busybox(const AptArchive& archive, const fs::path& staging) const {
        auto is_busybox = [](std::string_view path) { return path == "bin/busybox" || path == "usr/bin/busybox"; };
        DOPPEL_TRY(const Package package, archive.find("busybox-static"));
        DOPPEL_TRY(const fs::path deb, archive.download(package));
        DOPPEL_CHECK(extract_from_deb(deb, is_busybox, staging / "busybox", options_.stop));
        return read_file(staging / "busybox", kFileLimit, "read busybox");
    }

    struct DatabaseOf {
        std::map<std::string, std::string> packages;
    };

    Result<> unpack(std::vector<fs::path> debs, TreeWriter& tree, SetupInput& setup, DatabaseOf& made) const {
        // Others write through its links: /bin, /lib, /sbin.
        std::stable_partition(debs.begin(), debs.end(),
                              [](const fs::path& deb) { return deb.filename().string().starts_with("base-files_"); });
        DpkgDatabase database;
        Progress bar("unpack", debs.size(), ProgressUnit::kItems);
        for (const fs::path& deb : debs) {
            DOPPEL_TRY(const UnpackedPackage package, unpack_deb(deb, tree, setup.attributes, options_.stop));
            DOPPEL_CHECK(database.add(package, tree));
            bar.advance(1);
        }
        DOPPEL_CHECK(database.finish(tree));
        setup.preinsts = database.preinsts();
        made.packages = database.packages();
        return {};
    }

    // The kernel, and the initrd in the image and in the system's own /boot.
    Result<> write_boot_files(TreeWriter& tree, const std::vector<uint8_t>& busybox, const fs::path& image) {
        const fs::path modules = tree.root() / "usr" / "lib" / "modules";
        std::error_code code;
        const fs::directory_iterator entry(modules, code);
        if (code || entry == fs::directory_iterator())
            return fail(Error{"find kernel", modules, "no package brought one", "choose another suite"});
        kernel_version_ = entry->path().filename();
        const fs::path boot = tree.root() / "boot";
        fs::path kernel = boot / ("vmlinux-" + kernel_version_);
        if (!fs::exists(kernel, code)) kernel = boot / ("vmlinuz-" + kernel_version_);
        if (!fs::exists(kernel, code)) kernel = modules / kernel_version_ / "vmlinuz";
        fs::copy_file(kernel, image / "kernel", code);
        if (code) return fail(Error::system("take kernel", kernel, code.value()));
        DOPPEL_TRY(const auto needed, collect_modules(modules / kernel_version_, boot_module_names()));
        DOPPEL_CHECK(write_boot_initrd(image / "initrd", busybox, kernel_version_, needed));
        fs::copy_file(image / "initrd", boot / ("initrd.img-" + kernel_version_), code);
        if (code) return fail(Error::system("write initrd", boot, code.value()));
        return index_modules(tree.root(), kernel_version_, options_.stop);
    }

    // Of the last failure; removed by a success.
    fs::path log() const {
        return catalog_.directory() / (".log-" + catalog_.directory_of(name_, arch()).filename().string());
    }

    Result<> make_disk(const fs::path& staging, const SetupInput& setup, size_t packages) const {
        const fs::path raw = staging / "disk.raw", image = staging / "image";
        DOPPEL_CHECK(make_ext4(staging / "tree", raw, options_.size, setup.uuid, options_.stop));
        std::error_code code;
        fs::remove_all(staging / "tree", code);
        DOPPEL_CHECK(run_setup({.doppel_machine = options_.programs / "doppel-machine",
                                .kernel = image / "kernel",
                                .initrd = image / "initrd",
                                .disk = raw,
                                .log = log(),
                                .packages = packages,
                                .stop = options_.stop}));
        DOPPEL_CHECK(
            convert_disk(options_.programs / "doppel-disk", {raw, "raw"}, {image / "disk", "qcow2"}, options_.stop));
        fs::remove(log(), code);
        for (const char* file : {"kernel", "initrd", "disk"}) DOPPEL_CHECK(flush_to_disk(image / file));
        return {};
    }

    Result<> write_record(const fs::path& directory, std::map<std::string, std::string> packages) const {
        Image image;
        image.name = name_;
        image.arch = arch();
        image.kind = "machine";
        image.description = fmt::format("Debian {} with Linux {}", options_.archive.suite, kernel_version_);
        image.created = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
        image.append = "quiet root=/dev/vda rw";
        image.kernel_version = kernel_version_;
        image.packages = std::move(packages);
        image.packages[kRecipeName] = recipe();
        if (!agent_.empty()) image.packages[kAgentName] = agent_version_;
        for (const char* file : {"kernel", "initrd", "disk"}) {
            DOPPEL_TRY(image.files[file], measure_file(directory / file));
        }
        return write_file_atomically(directory / "image.json", to_json(image));
    }

    static constexpr const char* kKeyring = "usr/share/keyrings/debian-archive-keyring.pgp";
    static constexpr const char* kOlderKeyring = "usr/share/keyrings/debian-archive-keyring.gpg";

    const Catalog& catalog_;
    const DebianOptions& options_;
    const std::string name_;
    std::string kernel_version_;
    std::vector<uint8_t> agent_;  // empty: none
    std::string agent_version_;
};

Result<> check(const DebianOptions& options) {
    if (options.archive.architecture != "riscv64")
        return fail(Error::usage("--arch " + options.archive.architecture, "debian cannot be made for it yet",
                                 "use --arch riscv64"));
    if (options.size < kDebianLeastSize || options.size > kDebianMostSize)
        return fail(Error::usage("--size", "a Debian's disk has 1G to 16T", "for example: --size 16G"));
    for (const std::string& package : options.packages)
        if (!is_package_name(package)) return fail(Error::usage("--packages " + package, "not a package's name"));
    if (!is_user_name(options.user.name))
        return fail(Error::usage("the user " + options.user.name, "not a name that Debian takes"));
    return {};
}

}  // namespace

Result<Image> make_debian(const Catalog& catalog, const DebianOptions& options) {
    DOPPEL_CHECK(check(options));
    return DebianMaker(catalog, options).make();
}

}  // namespace doppel::image
