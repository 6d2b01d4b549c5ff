#include "image/make/apt_archive.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/file.h"
#include "base/progress.h"
#include "image/make/apt_mirror.h"

namespace doppel::image {

namespace fs = std::filesystem;

namespace {

// Read by apt after the machine's own configuration. What could run foreign hooks, pin other versions, or weaken the
// checks is taken back; how to reach a mirror is not.
constexpr std::string_view kConfiguration = R"(#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Post-Invoke-Stats;
#clear APT::Default-Release;
#clear APT::Architectures;
#clear Acquire::Languages;
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
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourceparts "/dev/null";
)";

bool is_word(std::string_view text, std::string_view also) {
    return !text.empty() && text.size() < 256 && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || also.find(c) != also.npos;
    });
}

Result<fs::path> debian_keyring() {
    std::error_code code;
    for (const char* name : {"debian-archive-keyring.gpg", "debian-archive-keyring.pgp"}) {
        fs::path keyring = fs::path("/usr/share/keyrings") / name;
        if (fs::exists(keyring, code)) return keyring;
    }
    return fail(Error{"verify mirror", "/usr/share/keyrings/debian-archive-keyring.gpg",
                      "the Debian archive keyring is missing", "install the package debian-archive-keyring"});
}

Result<> check(ArchiveOptions& options, const StopRequest& stop) {
    if (!is_word(options.suite, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") || options.suite[0] == '.')
        return fail(Error::usage("--suite " + options.suite, "not a suite's name", "for example: --suite stable"));
    if (!is_word(options.architecture, "-"))
        return fail(Error::usage("--arch " + options.architecture, "not an architecture's name",
                                 "for example: --arch riscv64"));
    if (options.mirror.empty()) {
        DOPPEL_TRY(options.mirror, configured_mirror(stop));
    } else if (!is_mirror_address(options.mirror)) {
        return fail(Error::usage("--mirror " + options.mirror, "not a mirror's address",
                                 "for example: --mirror http://HOST/debian or file:/DIRECTORY"));
    }
    if (options.keyring.empty()) {
        DOPPEL_TRY(options.keyring, debian_keyring());
    }
    std::error_code code;
    fs::path absolute = fs::absolute(options.keyring, code);
    if (!fs::is_regular_file(absolute, code))
        return fail(Error{"verify mirror", options.keyring, "there is no keyring there", "check --keyring"});
    // It becomes a word of a source entry.
    if (!is_mirror_address("file:" + absolute.string()))
        return fail(Error{"verify mirror", absolute, "apt takes no keyring whose path has blanks", "move it"});
    options.keyring = absolute;
    return {};
}

std::string_view next_line(std::string_view& text) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

}  // namespace

bool is_package_name(std::string_view name) {
    return name.size() >= 2 && is_word(name.substr(0, 1), "") && is_word(name, "+-.");
}

Result<Package> parse_package(std::string_view stanza) {
    Package package;
    while (!stanza.empty()) {
        std::string_view line = next_line(stanza);
        if (line.empty() && !package.name.empty()) break;
        size_t colon = line.find(": ");
        if (colon == line.npos) continue;
        std::string_view key = line.substr(0, colon), value = line.substr(colon + 2);
        if (key == "Package") package.name = value;
        if (key == "Version") package.version = value;
        if (key == "Depends") package.depends = value;
        if (key == "Size") std::from_chars(value.data(), value.data() + value.size(), package.size);
    }
    if (!is_package_name(package.name) || !is_word(package.version, "ABCDEFGHIJKLMNOPQRSTUVWXYZ+-.:~") ||
        package.size == 0)
        return fail(Error{"read package index", "apt-cache show", "a stanza without name, version or size", ""});
    return package;
}

std::optional<double> parse_percentage(std::string_view line) {
    constexpr std::string_view kMark = "dlstatus:";
    size_t start = line.starts_with(kMark) ? line.find(':', kMark.size()) : line.npos;
    double percentage = 0;
    if (start == line.npos) return std::nullopt;
    auto [end, error] = std::from_chars(line.data() + start + 1, line.data() + line.size(), percentage);
    if (error != std::errc() || !(percentage >= 0 && percentage <= 100)) return std::nullopt;
    return percentage;
}

std::string dependency(std::string_view depends, std::string_view prefix) {
    while (!depends.empty()) {
        size_t end = std::min(depends.find_first_of(",|"), depends.size());
        std::string_view one = depends.substr(0, end);
        depends.remove_prefix(std::min(end + 1, depends.size()));
        while (one.starts_with(' ')) one.remove_prefix(1);
        one = one.substr(0, one.find_first_of(" :("));
        if (one.starts_with(prefix) && is_package_name(one)) return std::string(one);
    }
    return {};
}

Result<AptArchive> AptArchive::open(fs::path root, ArchiveOptions options, StopRequest stop) {
    DOPPEL_CHECK(check(options, stop));
    AptArchive archive(std::move(root), std::move(options), stop);
    DOPPEL_CHECK(archive.write_root());
    DOPPEL_CHECK(archive.update());
    return archive;
}

Result<> AptArchive::write_root() const {
    for (const char* directory : {"state/lists/partial", "cache/archives/partial", "packages"}) {
        std::error_code code;
        fs::create_directories(root_ / directory, code);
        if (code) return fail(Error::system("create directory", root_ / directory, code.value()));
    }
    std::string configuration(kConfiguration);
    configuration += "APT::Architecture \"" + options_.architecture + "\";\n";
    configuration += "APT::Architectures { \"" + options_.architecture + "\"; };\n";
    std::string source = "Types: deb\nURIs: " + options_.mirror + "\nSuites: " + options_.suite +
                         "\nComponents: main\nArchitectures: " + options_.architecture +
                         "\nTargets: Packages\nSigned-By: " + options_.keyring.string() + "\n";
    DOPPEL_CHECK(write_file_atomically(root_ / "apt.conf", configuration));
    DOPPEL_CHECK(write_file_atomically(root_ / "archive.sources", source));
    return write_file_atomically(root_ / "status", std::string_view());
}

Command AptArchive::command(std::string tool, std::vector<std::string> arguments) const {
    // Directories go by -o: a path may hold characters that mean something in a configuration file.
    Command command{
        {std::move(tool), "-q", "-c", root_ / "apt.conf", "-o", "Dir::State=" + root_.string() + "/state/", "-o",
         "Dir::State::status=" + root_.string() + "/status", "-o", "Dir::Cache=" + root_.string() + "/cache/", "-o",
         "Dir::Etc::sourcelist=" + root_.string() + "/archive.sources"},
        {{"LC_ALL", "C"}},
        root_ / "packages"};
    for (auto& argument : arguments) command.arguments.push_back(std::move(argument));
    return command;
}

AptContext AptArchive::context(std::string failed, std::string subject) const {
    return {std::move(failed), std::move(subject), options_.suite, options_.keyring};
}

Result<> AptArchive::update() const {
    Command update = command("apt-get", {"-o", "APT::Status-Fd=" + std::to_string(kStatusDescriptor), "update"});
    Progress bar("package index", 100, ProgressUnit::kItems);
    update.status_line = [&](std::string_view line) {
        if (auto percentage = parse_percentage(line)) bar.set(static_cast<uint64_t>(*percentage));
    };
    DOPPEL_TRY(Finished finished, run(update, stop_));
    if (!finished.succeeded())
        return fail(apt_error(context("fetch package index", options_.mirror), finished.output + finished.diagnostics));
    return {};
}

Result<Package> AptArchive::find(const std::string& name) const {
    if (!is_package_name(name)) return fail(Error::usage(name, "not a package's name"));
    DOPPEL_TRY(Finished finished, run(command("apt-cache", {"show", "--no-all-versions", name}), stop_));
    if (!finished.succeeded() || finished.output.empty()) {
        std::string said = finished.succeeded() ? "E: No packages found" : finished.output + finished.diagnostics;
        return fail(apt_error(context("find package", name), said));
    }
    return parse_package(finished.output);
}

Result<fs::path> AptArchive::download(const Package& package) const {
    Command download = command("apt-get", {"-o", "APT::Status-Fd=" + std::to_string(kStatusDescriptor), "download",
                                           package.name + "=" + package.version});
    Progress bar(package.name, package.size, ProgressUnit::kBytes);
    download.status_line = [&](std::string_view line) {
        if (auto percentage = parse_percentage(line))
            bar.set(static_cast<uint64_t>(*percentage / 100 * static_cast<double>(package.size)));
    };
    DOPPEL_TRY(Finished finished, run(download, stop_));
    std::string said = finished.output + finished.diagnostics;
    if (!finished.succeeded()) return fail(apt_error(context("download package", package.name), said));
    std::error_code code;
    for (fs::directory_iterator entry(root_ / "packages", code), end; !code && entry != end; entry.increment(code)) {
        if (entry->path().filename().string().starts_with(package.name + "_")) return entry->path();
    }
    return fail(apt_error(context("download package", package.name), said));
}

}  // namespace doppel::image
