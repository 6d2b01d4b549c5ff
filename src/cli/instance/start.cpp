// doppel run of what becomes an instance, start, restart.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "cli/instance/attach.h"
#include "cli/instance/session.h"
#include "cli/instance/verbs.h"
#include "cli/plan.h"

namespace doppel::cli {

using instance::Document;
using instance::Instance;
using instance::RunState;
using instance::Store;

namespace {

Result<Document> document_of(const Arguments& arguments) {
    DOPPEL_TRY(const image::Catalog catalog, image::Catalog::of_user());
    DOPPEL_TRY(Plan plan, make_plan(arguments, catalog));
    Document document;
    document.image = plan.image;
    document.machine = std::move(plan.specification);
    document.remove = arguments.has("--rm");
    if (const auto word = arguments.value("--restart")) {
        const auto restart = instance::restart_from(*word);
        if (!restart) return fail(Error::usage("--restart", *word + " is no policy", "give no, on-failure or always"));
        document.restart = *restart;
    }
    if (arguments.has("--detach") && arguments.has("-t"))
        return fail(Error::usage("-t", "does not apply to --detach", "leave one of them out"));
    std::error_code error;
    const auto folder = std::filesystem::current_path(error);
    if (error) return fail(Error::system("run", "the working directory", error.value()));
    DOPPEL_CHECK(instance::make_absolute(document.machine, folder));
    return document;
}

struct Ends {
    UniqueFd ours, keepers;
};

Result<Ends> make_ends() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail(Error::system("attach", "socket", errno));
    return Ends{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Its exit code, or 0 when the user left it running.
Result<int> follow(const Instance& instance, UniqueFd console, UniqueFd report) {
    DOPPEL_TRY(const Left left, attach(std::move(console)));
    if (left == Left::kDetached) {
        std::fprintf(stderr, "doppel: %s goes on; doppel console %s comes back\n", instance.row.name.c_str(),
                     instance.row.name.c_str());
        return 0;
    }
    if (const auto code = instance::wait_for_code(std::move(report))) return *code;
    return fail(Error{"run", instance.row.name, "its keeper was killed", "doppel start starts it again"});
}

Result<> start_again(Store& store, const Instance& instance, int patience) {
    DOPPEL_CHECK(instance::stop(store, instance, patience));
    return start_if_stopped(store, instance);
}

}  // namespace

Result<int> run_kept(const Arguments& arguments) {
    DOPPEL_TRY(const Document document, document_of(arguments));
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(Store::Made made, store.make(arguments.value("--name").value_or(""), document));
    const Instance instance = std::move(made.instance);
    auto hold = std::make_unique<instance::ChangesLock>(std::move(made.hold));
    DOPPEL_TRY(Ends ends, make_ends());
    const bool detached = arguments.has("--detach");
    auto started = start_instance(store, instance, detached ? -1 : ends.keepers.get());
    ends.keepers.reset();
    if (!started) {
        // It never ran: nothing of it is left.
        hold.reset();
        (void)store.erase(instance);
        return fail(started.error());
    }
    if (detached) {
        std::printf("%s\n", instance.row.name.c_str());
        return 0;
    }
    hold.reset();
    DOPPEL_TRY(const int code, follow(instance, std::move(ends.ours), std::move(*started)));
    DOPPEL_CHECK(reap(instance.row.id));  // unless it runs on
    return code;
}

Result<int> run_start(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    if (!arguments.has("--attach")) {
        return for_each_name(arguments, store,
                             [&](const Instance& instance) { return start_if_stopped(store, instance); });
    }
    DOPPEL_TRY(const std::string name, one_name(arguments));
    DOPPEL_TRY(const Instance found, store.find(name));
    DOPPEL_TRY(Ends ends, make_ends());
    UniqueFd report;
    {
        DOPPEL_CHECK(store.make_directory(found));
        DOPPEL_TRY(const auto hold, instance::ChangesLock::wait(store.folder().directory_of(found.row.id)));
        DOPPEL_TRY(const Instance now, store.look_again(found));
        if (now.runs()) return fail(Error{"start", now.row.name, "it runs already", "doppel console attaches to it"});
        DOPPEL_TRY(report, start_instance(store, now, ends.keepers.get()));
        ends.keepers.reset();
    }
    return follow(found, std::move(ends.ours), std::move(report));
}

Result<int> run_restart(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const int patience, timeout_of(arguments));
    return for_each_name(arguments, store,
                         [&](const Instance& instance) { return start_again(store, instance, patience); });
}

}  // namespace doppel::cli
