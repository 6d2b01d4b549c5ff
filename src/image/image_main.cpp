// doppel-image: the verbs of `doppel image`, apart from the launcher because they need libraries that it does not.
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/progress.h"
#include "base/sizes.h"
#include "base/unique_fd.h"
#include "base/verb_program.h"
#include "image/catalog.h"
#include "image/make/debian/debian.h"
#include "image/make/debian/disk.h"
#include "image/make/fetch.h"
#include "image/make/tiny.h"
#include "image/makeable.h"
#include "image/tag.h"

namespace doppel::image {

namespace {

// Ctrl-C and kill become a request to stop, so that what is half made is removed.
Result<UniqueFd> catch_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&signals, number);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC));
    if (!fd) return fail(Error::system("catch signals", "", errno));
    return fd;
}

Result<> list(bool as_json) {
    DOPPEL_TRY(Catalog catalog, Catalog::of_user());
    DOPPEL_TRY(Listing listing, catalog.list());
    auto array = nlohmann::json::array();
    size_t width = 4;
    for (const Image& image : listing.images) {
        width = std::max(width, image.name.size());
        array.push_back({{"name", image.name},
                         {"arch", image.arch},
                         {"kind", image.kind},
                         {"size", image.size()},
                         {"created", image.created},
                         {"description", image.description}});
    }
    if (as_json) {
        std::puts(array.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    } else if (!listing.images.empty()) {
        std::printf("%-*s  %-8s  %-9s  %10s  %-20s  %s\n", static_cast<int>(width), "NAME", "ARCH", "KIND", "SIZE",
                    "CREATED", "DESCRIPTION");
        for (const Image& image : listing.images) {
            std::printf("%-*s  %-8s  %-9s  %10s  %-20s  %s\n", static_cast<int>(width), image.name.c_str(),
                        image.arch.c_str(), image.kind.c_str(), format_size_rounded(image.size()).c_str(),
                        image.created.c_str(), image.description.c_str());
        }
    }
    if (listing.damaged.empty()) return {};
    for (size_t i = 0; i + 1 < listing.damaged.size(); i++) report(listing.damaged[i]);
    return fail(listing.damaged.back());
}

Result<> remove(const std::vector<std::string>& names) {
    DOPPEL_TRY(Catalog catalog, Catalog::of_user());
    for (const std::string& name : names) {
        DOPPEL_CHECK(catalog.remove(makeable(name).value_or(name)));
    }
    return {};
}

// What was built or installed with this program lies beside it.
std::filesystem::path agent_for(const std::string& architecture) {
    std::error_code code;
    return std::filesystem::read_symlink("/proc/self/exe", code).replace_filename("agent-" + architecture);
}

Result<Image> find_image(const std::string& name) {
    DOPPEL_TRY(const Catalog catalog, Catalog::of_user());
    DOPPEL_TRY(auto image, catalog.find(makeable(name).value_or(name)));
    if (!image) return fail(Error{"find image", name, "there is none of that name", "see: doppel image ls"});
    return std::move(*image);
}

Result<> inspect(const std::vector<std::string>& names) {
    auto array = nlohmann::json::array();
    for (const std::string& name : names) {
        DOPPEL_TRY(const Image image, find_image(name));
        auto record = nlohmann::json::parse(to_json(image), nullptr, false);
        record["directory"] = image.directory.string();
        array.push_back(std::move(record));
    }
    std::puts(array.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return {};
}

Result<> tag(const std::string& from, const std::string& to) {
    DOPPEL_TRY(UniqueFd signals, catch_signals());
    DOPPEL_TRY(const Catalog catalog, Catalog::of_user());
    DOPPEL_CHECK(tag_image(catalog, makeable(from).value_or(from), to, StopRequest(signals.get())));
    return {};
}

Result<> export_disk(const std::string& name, const std::string& file, const std::string& format) {
    DOPPEL_TRY(const Image image, find_image(name));
    if (!image.has_disk())
        return fail(Error{"export image", name, "it has no disk", "its files are: doppel image inspect"});
    DOPPEL_TRY(UniqueFd signals, catch_signals());
    return convert_disk(agent_for("x").replace_filename("doppel-disk"), {image.disk(), "qcow2"}, {file, format},
                        StopRequest(signals.get()));
}

struct MakeCommand {
    std::string what;
    ArchiveOptions archive{.suite = {}, .architecture = "riscv64"};  // an empty suite: the image's own
    bool refresh = false;
    std::string size;                   // what follows is debian's
    std::vector<std::string> packages;  // parted by blanks or commas
};

template <class Options>
Options common_options(const MakeCommand& command, const StopRequest& stop) {
    Options options;
    const std::string suite = command.archive.suite.empty() ? options.archive.suite : command.archive.suite;
    options.archive = command.archive;
    options.archive.suite = suite;
    options.refresh = command.refresh;
    options.agent = agent_for(command.archive.architecture);
    options.stop = stop;
    options.waiting = [] { log_warning("another process is making or removing an image; waiting for it"); };
    return options;
}

Result<Image> make_a_debian(const Catalog& catalog, const MakeCommand& command, const std::string& suite,
                            const StopRequest& stop) {
    auto options = common_options<DebianOptions>(command, stop);
    if (command.what.find(':') != command.what.npos) {
        if (!command.archive.suite.empty())
            return fail(Error::usage("--suite", command.what + " names one already", "leave one of them out"));
        options.archive.suite = suite;
    }
    for (const std::string& list : command.packages) {
        size_t at = 0;
        while ((at = list.find_first_not_of(", ", at)) != list.npos) {
            const size_t end = std::min(list.find_first_of(", ", at), list.size());
            options.packages.push_back(list.substr(at, end - at));
            at = end;
        }
    }
    if (!command.size.empty()) {
        DOPPEL_TRY(options.size, parse_size(command.size, "--size"));
    }
    options.user = calling_user();
    options.programs = options.agent.parent_path();
    return make_debian(catalog, options);
}

Result<> make(const MakeCommand& command) {
    const auto suite = debian_suite(command.what);
    if (command.what != kTinyName && !suite)
        return fail(
            Error::usage(command.what, "there is no way to make it", "what can be made: tiny, debian, debian:SUITE"));
    if (!suite && (!command.size.empty() || !command.packages.empty()))
        return fail(Error::usage(command.size.empty() ? "--packages" : "--size", "does not apply to " + command.what,
                                 "leave it out"));
    DOPPEL_TRY(UniqueFd signals, catch_signals());
    const StopRequest stop(signals.get());
    DOPPEL_TRY(Catalog catalog, Catalog::of_user());
    DOPPEL_TRY(const Image image, suite ? make_a_debian(catalog, command, *suite, stop)
                                        : make_tiny(catalog, common_options<TinyOptions>(command, stop)));
    std::printf("%s (%s): %s\n", image.name.c_str(), image.arch.c_str(), image.description.c_str());
    return {};
}

Result<> fetch(FetchOptions& options) {
    DOPPEL_TRY(UniqueFd signals, catch_signals());
    options.stop = StopRequest(signals.get());
    DOPPEL_TRY(std::string version, fetch_file(options));
    std::printf("%s %s\n", options.package.c_str(), version.c_str());
    return {};
}

void add_archive_options(CLI::App& verb, ArchiveOptions& options) {
    verb.add_option("--suite", options.suite, "Debian's suite to take packages from")->capture_default_str();
    verb.add_option("--mirror", options.mirror,
                    "address of a Debian mirror, instead of the one that apt is configured with")
        ->envname("DOPPEL_MIRROR");
    verb.add_option("--keyring", options.keyring, "keys to verify the mirror with, instead of Debian's");
}

struct CommandLine {
    CLI::App app{"Make, list, copy and remove images", "doppel image"};
    bool as_json = false;
    std::vector<std::string> names;
    std::string what, target, format = "qcow2";
    MakeCommand making;
    FetchOptions fetching;
    Result<> result;

    CommandLine() {
        app.require_subcommand(1);
        app.footer("Example: doppel image make tiny && doppel run tiny");
        CLI::App* ls = app.add_subcommand("ls", "List the images on this host");
        ls->add_flag("--json", as_json, "as a JSON array");
        ls->footer("Example: doppel image ls --json");
        ls->callback([this] { result = list(as_json); });

        CLI::App* rm = app.add_subcommand("rm", "Remove images");
        rm->add_option("NAME", names, "images' names")->required();
        rm->footer("Example: doppel image rm tiny");
        rm->callback([this] { result = remove(names); });

        CLI::App* inspector = app.add_subcommand("inspect", "Show all of images, as a JSON array");
        inspector->add_option("NAME", names, "images' names")->required();
        inspector->footer("Example: doppel image inspect debian");
        inspector->callback([this] { result = inspect(names); });

        CLI::App* tagger = app.add_subcommand("tag", "Give an image another name, too");
        tagger->add_option("NAME", what, "the image")->required();
        tagger->add_option("NEW", target, "the other name")->required();
        tagger->footer("Example: doppel image tag debian web:1");
        tagger->callback([this] { result = tag(what, target); });

        CLI::App* exporter = app.add_subcommand("export", "Copy an image's disk into a file");
        exporter->add_option("-O,--format", format, "raw or qcow2")
            ->capture_default_str()
            ->check(CLI::IsMember({"raw", "qcow2"}));
        exporter->add_option("NAME", what, "the image")->required();
        exporter->add_option("FILE", target, "the new disk")->required();
        exporter->footer("Example: doppel image export -O raw debian debian.img");
        exporter->callback([this] { result = export_disk(what, target, format); });

        CLI::App* maker = app.add_subcommand("make", "Make an image from the machine's Debian mirror");
        maker
            ->add_option("WHAT", making.what,
                         "what to make: tiny (Debian's newest kernel, a busybox shell in memory), debian or "
                         "debian:SUITE (a whole system on a disk)")
            ->required();
        add_archive_options(*maker, making.archive);
        maker->add_option("--arch", making.archive.architecture, "the guest's architecture")->capture_default_str();
        maker->add_option("--size", making.size, "of debian's disk, as the guest sees it (16G)");
        maker->add_option("--packages", making.packages, "more packages for debian, parted by blanks or commas");
        maker->add_flag("--refresh", making.refresh, "make it anew although it is there");
        maker->footer("Example: doppel image make debian:sid --size 32G --packages gcc,make");
        maker->callback([this] { result = make(making); });

        CLI::App* fetcher = app.add_subcommand("fetch", "Take one file out of a package of the Debian archive");
        add_archive_options(*fetcher, fetching.archive);
        fetcher->add_option("--arch", fetching.archive.architecture,
                            "the package's architecture, instead of the host's");
        fetcher->add_option("PACKAGE", fetching.package, "the package's name")->required();
        fetcher->add_option("MEMBER", fetching.member, "the file's path in the package")->required();
        fetcher->add_option("FILE", fetching.destination, "where to write it")->required();
        fetcher->footer("Example: doppel-image fetch qemu-user usr/bin/qemu-riscv64 ./qemu-riscv64");
        fetcher->callback([this] { result = fetch(fetching); });
    }
};

}  // namespace

}  // namespace doppel::image

int main(int argc, char** argv) {
    std::setlocale(LC_CTYPE, "C.UTF-8");  // libarchive takes names in packages for what they are
    return doppel::run_verb_program<doppel::image::CommandLine>(argc, argv);
}
