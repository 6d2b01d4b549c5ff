// doppel autostart: instances that start with the user's session, by a unit of systemd's user manager.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/program.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"

namespace doppel::cli {

namespace fs = std::filesystem;
using instance::Document;
using instance::Instance;
using instance::Store;

namespace {

constexpr const char* kWrite = "write the unit";
constexpr const char* kUnit = "doppel.service";

Result<fs::path> units() {
    const char* config = std::getenv("XDG_CONFIG_HOME");
    if (config != nullptr && config[0] == '/') return fs::path(config) / "systemd/user";
    const char* home = std::getenv("HOME");
    if (home != nullptr && home[0] == '/') return fs::path(home) / ".config/systemd/user";
    return fail(Error{kWrite, "HOME", "it is not set to an absolute path", "set HOME"});
}

// systemd.syntax(7): quoted, with '%' and '\' doubled.
std::string quoted(const std::string& text) {
    std::string all = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') all += '\\';
        if (c == '%') all += '%';
        all += c;
    }
    return all + "\"";
}

Result<std::string> unit_text() {
    DOPPEL_TRY(const std::string doppel, beside("doppel"));
    const char* state = std::getenv("DOPPEL_STATE");
    std::string text =
        "# Written by doppel autostart.\n[Unit]\nDescription=Instances of doppel\n\n[Service]\nType=oneshot\n"
        "RemainAfterExit=yes\nTimeoutStopSec=120\n";
    if (state != nullptr && *state != '\0')
        text += "Environment=" + quoted(std::string("DOPPEL_STATE=") + state) + "\n";
    text += "ExecStart=" + quoted(doppel) + " autostart --start\nExecStop=" + quoted(doppel) +
            " autostart --stop\n\n[Install]\nWantedBy=default.target\n";
    return text;
}

// The unit, and the link that systemctl enable would make; neither where nothing starts by itself.
Result<> write_unit(bool wanted) {
    DOPPEL_TRY(const fs::path folder, units());
    const fs::path unit = folder / kUnit, link = folder / "default.target.wants" / kUnit;
    std::error_code error;
    if (!wanted) {
        fs::remove(link, error);
        fs::remove(unit, error);
        return {};
    }
    fs::create_directories(link.parent_path(), error);
    if (error) return fail(Error::system(kWrite, link.parent_path(), error.value()));
    DOPPEL_TRY(const std::string text, unit_text());
    DOPPEL_CHECK(write_file_atomically(unit, text));
    if (symlink(unit.c_str(), link.c_str()) != 0 && errno != EEXIST) return fail(Error::system(kWrite, link, errno));
    return {};
}

// Each, going on after failures: the exit code.
template <class What>
Result<int> for_each_marked(Store& store, const What& what) {
    DOPPEL_TRY(const std::vector<Instance> all, store.list());
    int code = 0;
    for (const Instance& one : all) {
        if (!one.document.autostart) continue;
        if (const Result<> done = what(one); !done) {
            std::fprintf(stderr, "doppel: %s\n", done.error().message().c_str());
            code = 1;
        }
    }
    return code;
}

}  // namespace

Result<int> run_autostart(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    if (arguments.has("--start"))
        return for_each_marked(store, [&](const Instance& one) { return start_if_stopped(store, one); });
    if (arguments.has("--stop")) {
        DOPPEL_TRY(const int patience, timeout_of(arguments));
        return for_each_marked(store, [&](const Instance& one) { return instance::stop(store, one, patience); });
    }
    if (arguments.operands().empty())
        return for_each_marked(store, [](const Instance& one) { return std::puts(one.row.name.c_str()), Result<>(); });
    const bool on = !arguments.has("--off");
    DOPPEL_TRY(const int code, for_each_name(arguments, store, [&](const Instance& one) -> Result<> {
                   DOPPEL_TRY(const Document after, store.edit(one, [&](Document& document) -> Result<> {
                       document.autostart = on;
                       return {};
                   }));
                   return {};
               }));
    bool any = false;
    DOPPEL_TRY(const int listed, for_each_marked(store, [&](const Instance&) { return any = true, Result<>(); }));
    DOPPEL_CHECK(write_unit(any));
    return std::max(code, listed);
}

}  // namespace doppel::cli
