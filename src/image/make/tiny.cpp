#include "image/make/tiny.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <system_error>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "image/lock.h"
#include "image/make/deb.h"
#include "image/make/digest.h"
#include "image/make/staging.h"
#include "image/make/tiny_initrd.h"

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

// Beside the packages: the index (about 30 MB for a whole suite), the unpacked kernel, the initrd.
constexpr uint64_t kWorkingSpace = 96ull << 20;
constexpr uint64_t kBusyboxLimit = 64ull << 20;
constexpr uint64_t kModuleLimit = 16ull << 20;
constexpr uint64_t kAgentLimit = 16ull << 20;
constexpr const char* kRecipeName = "doppel-recipe";  // the same, with what else an image depends on
constexpr const char* kAgentName = "doppel-agent";    // among the image's packages, with its digest for a version

// What drives devices of doppel's machines that the kernel has as modules. A kernel that has one built in lacks it
// here.
struct WantedModule {
    std::string_view path;
    std::vector<std::string_view> needs{};  // paths of others, loaded before it
};
const WantedModule kModules[] = {
    {"kernel/drivers/char/hw_random/virtio-rng.ko"},
    {"kernel/drivers/block/virtio_blk.ko"},
    {"kernel/lib/crc16.ko"},
    {"kernel/crypto/crc32c_generic.ko"},
    {"kernel/fs/mbcache.ko"},
    {"kernel/fs/jbd2/jbd2.ko", {"kernel/crypto/crc32c_generic.ko"}},
    {"kernel/fs/ext4/ext4.ko",
     {"kernel/fs/jbd2/jbd2.ko", "kernel/fs/mbcache.ko", "kernel/lib/crc16.ko", "kernel/crypto/crc32c_generic.ko"}},
    {"kernel/net/core/failover.ko"},
    {"kernel/drivers/net/net_failover.ko", {"kernel/net/core/failover.ko"}},
    {"kernel/drivers/net/virtio_net.ko", {"kernel/drivers/net/net_failover.ko", "kernel/net/core/failover.ko"}},
    {"kernel/drivers/virtio/virtio_balloon.ko"},
    {"kernel/drivers/virtio/virtio_input.ko"},
    {"kernel/drivers/input/evdev.ko"},
    {"kernel/drivers/virtio/virtio_mmio.ko"},
    {"kernel/net/vmw_vsock/vsock.ko"},
    {"kernel/net/vmw_vsock/vmw_vsock_virtio_transport_common.ko", {"kernel/net/vmw_vsock/vsock.ko"}},
    {"kernel/net/vmw_vsock/vmw_vsock_virtio_transport.ko",
     {"kernel/net/vmw_vsock/vmw_vsock_virtio_transport_common.ko", "kernel/net/vmw_vsock/vsock.ko"}},
};

// Compressed or not ("virtio-rng.ko.xz").
bool is_module(std::string_view path, const WantedModule& wanted) {
    return path.starts_with(wanted.path) && (path.size() == wanted.path.size() || path[wanted.path.size()] == '.');
}

struct Ingredients {
    Package kernel;
    Package busybox;
};

class TinyMaker {
  public:
    TinyMaker(const Catalog& catalog, const TinyOptions& options)
        : catalog_(catalog), options_(options), arch_(options.archive.architecture) {}

    Result<Image> make() {
        DOPPEL_CHECK(read_agent());
        if (auto there = find()) return std::move(*there);
        DOPPEL_TRY(UniqueFd lock, lock_directory(catalog_.directory(), options_.stop, options_.waiting));
        if (auto there = find()) return std::move(*there);
        fs::path destination = catalog_.directory_of(kTinyName, arch_);
        DOPPEL_TRY(Staging staging,
                   Staging::create(catalog_.directory() / (".staging-" + destination.filename().string())));
        DOPPEL_CHECK(fill(staging.path()));
        DOPPEL_CHECK(staging.publish("image", destination));
        DOPPEL_TRY(auto made, catalog_.find(kTinyName, arch_));
        if (!made)
            return fail(Error{"make image", kTinyName, "it was removed as soon as it was made", "make it again"});
        return std::move(*made);
    }

  private:
    Result<> read_agent() {
        std::error_code code;
        if (options_.agent.empty() || !fs::exists(options_.agent, code)) return {};
        DOPPEL_TRY(agent_, read_file(options_.agent, kAgentLimit, "read the guest's agent"));
        DOPPEL_TRY(const ImageFile measured, measure_file(options_.agent));
        agent_version_ = measured.sha256;
        return {};
    }
    // The image as it would be made now, as far as that can be told without the mirror.
    std::optional<Image> find() const {
        if (options_.refresh) return std::nullopt;
        auto there = catalog_.find(kTinyName, arch_);
        if (!there || !*there) return std::nullopt;
        auto has = [&](const char* name, const std::string& version) {
            const auto found = (*there)->packages.find(name);
            return found != (*there)->packages.end() && found->second == version;
        };
        const bool same = has(kRecipeName, recipe()) && (agent_.empty() || has(kAgentName, agent_version_));
        return same ? std::move(*there) : std::nullopt;
    }

    // Changes with what an image is made of besides its packages.
    static std::string recipe() {
        std::string text = tiny_initrd_recipe();
        for (const WantedModule& one : kModules) text.append(one.path);
        return fmt::format("{:016x}", hash64({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
    }

    Result<> fill(const fs::path& staging) {
        std::error_code code;
        fs::path image = staging / "image";
        fs::create_directory(image, code);
        if (code) return fail(Error::system("create directory", image, code.value()));
        DOPPEL_CHECK(check_free_space(staging, kWorkingSpace));
        DOPPEL_TRY(AptArchive archive, AptArchive::open(staging / "apt", options_.archive, options_.stop));
        DOPPEL_TRY(Ingredients found, resolve(archive));
        DOPPEL_CHECK(check_free_space(staging, found.kernel.size + found.busybox.size + kWorkingSpace));
        TinyContent content;
        DOPPEL_TRY(std::string kernel_version, take_kernel(archive, found.kernel, image / "kernel", content.modules));
        DOPPEL_TRY(auto busybox, take_busybox(archive, found.busybox, staging / "busybox"));
        content.busybox = busybox;
        content.kernel_version = kernel_version;
        content.agent = agent_;
        if (agent_.empty()) log_warning("{} is made without an agent: there is none for {}", kTinyName, arch_);
        content.greeting =
            fmt::format("Linux {} and busybox {}; exit powers off", kernel_version, found.busybox.version);
        DOPPEL_CHECK(write_tiny_initrd(image / "initrd", content));
        DOPPEL_CHECK(flush_to_disk(image / "initrd"));
        return write_record(image, found, kernel_version);
    }

    Result<Ingredients> resolve(const AptArchive& archive) {
        DOPPEL_TRY(Package newest, archive.find("linux-image-" + arch_));
        std::string name = dependency(newest.depends, "linux-image-");
        if (name.empty())
            return fail(Error{"find kernel", newest.name + " " + newest.version, "it depends on no kernel package",
                              "choose another suite with --suite"});
        DOPPEL_TRY(Package kernel, archive.find(name));
        DOPPEL_TRY(Package busybox, archive.find("busybox-static"));
        return Ingredients{std::move(kernel), std::move(busybox)};
    }

    // Its version as uname -r says, which is how Debian names the file.
    Result<std::string> take_kernel(const AptArchive& archive, const Package& package, const fs::path& destination,
                                    std::vector<KernelModule>& modules) {
        auto is_kernel = [](std::string_view path) {
            return path.starts_with("boot/vmlinux-") || path.starts_with("boot/vmlinuz-");
        };
        DOPPEL_TRY(fs::path deb, archive.download(package));
        DOPPEL_TRY(std::string path, extract_from_deb(deb, is_kernel, destination, options_.stop));
        std::string version = path.substr(path.find('-') + 1);
        DOPPEL_CHECK(take_modules(deb, version, modules));
        std::error_code code;
        fs::remove(deb, code);
        return version;
    }

    // In the order of kModules.
    Result<> take_modules(const fs::path& deb, const std::string& version, std::vector<KernelModule>& modules) {
        const std::string root = "lib/modules/" + version + "/";
        auto inside = [&](std::string_view path) -> std::string_view {
            if (path.starts_with("usr/")) path.remove_prefix(4);  // in /lib or in /usr/lib
            return path.starts_with(root) ? path.substr(root.size()) : "";
        };
        auto wanted = [&](std::string_view path) {
            return std::ranges::any_of(kModules, [&](const WantedModule& one) { return is_module(inside(path), one); });
        };
        DOPPEL_TRY(const auto files, read_from_deb(deb, wanted, options_.stop, {.file = kModuleLimit}));
        for (const WantedModule& one : kModules) {
            const auto found =
                std::ranges::find_if(files, [&](const auto& file) { return is_module(inside(file.first), one); });
            if (found == files.end()) continue;
            modules.push_back({std::string(inside(found->first)), found->second, {}});
            modules.back().needs.assign(one.needs.begin(), one.needs.end());
        }
        return {};
    }

    Result<std::vector<uint8_t>> take_busybox(const AptArchive& archive, const Package& package,
                                              const fs::path& destination) {
        auto is_busybox = [](std::string_view path) { return path == "bin/busybox" || path == "usr/bin/busybox"; };
        DOPPEL_CHECK(take(archive, package, is_busybox, destination));
        return read_file(destination, kBusyboxLimit, "read busybox");
    }

    Result<std::string> take(const AptArchive& archive, const Package& package,
                             const std::function<bool(std::string_view)>& wanted, const fs::path& destination) {
        DOPPEL_TRY(fs::path deb, archive.download(package));
        DOPPEL_TRY(std::string path, extract_from_deb(deb, wanted, destination, options_.stop));
        std::error_code code;
        fs::remove(deb, code);
        return path;
    }

    Result<> write_record(const fs::path& directory, const Ingredients& found, const std::string& kernel_version) {
        Image image;
        image.name = kTinyName;
        image.arch = arch_;
        image.kind = "machine";
        image.description = fmt::format("Debian's Linux {} with a busybox shell in memory", kernel_version);
        image.created = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
        // Each character that the kernel prints costs the guest a register access.
        image.append = "quiet";
        image.kernel_version = kernel_version;
        image.packages = {{found.kernel.name, found.kernel.version}, {found.busybox.name, found.busybox.version}};
        image.packages[kRecipeName] = recipe();
        if (!agent_.empty()) image.packages[kAgentName] = agent_version_;
        for (const char* file : {"kernel", "initrd"}) {
            DOPPEL_TRY(image.files[file], measure_file(directory / file));
        }
        return write_file_atomically(directory / "image.json", to_json(image));
    }

    const Catalog& catalog_;
    const TinyOptions& options_;
    const std::string& arch_;
    std::vector<uint8_t> agent_;  // empty: none
    std::string agent_version_;
};

}  // namespace

Result<Image> make_tiny(const Catalog& catalog, const TinyOptions& options) {
    if (options.archive.architecture != "riscv64")
        return fail(Error::usage("--arch " + options.archive.architecture, "tiny cannot be made for it yet",
                                 "use --arch riscv64"));
    return TinyMaker(catalog, options).make();
}

}  // namespace doppel::image
