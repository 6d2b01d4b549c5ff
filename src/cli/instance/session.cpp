#include "cli/instance/session.h"

#include <algorithm>
#include <cstdio>

#include "base/program.h"
#include "cli/obtain.h"
#include "cli/values.h"

namespace doppel::cli {

using instance::Instance;
using instance::RunState;
using instance::Store;

Result<std::vector<std::string>> names_of(const Arguments& arguments) {
    const std::string verb(arguments.verb().name);
    if (arguments.operands().empty())
        return fail(Error::usage(verb, "a name is missing", "doppel ls lists the instances"));
    return arguments.operands();
}

Result<std::string> one_name(const Arguments& arguments) {
    DOPPEL_TRY(const auto names, names_of(arguments));
    return names.front();
}

Result<int> for_each_name(const Arguments& arguments, Store& store,
                          const std::function<Result<>(const Instance&)>& what, bool deleted) {
    DOPPEL_TRY(const auto names, names_of(arguments));
    int code = 0;
    for (const std::string& name : names) {
        const auto instance = store.find(name, deleted);
        const Result<> done = instance ? what(*instance) : fail(instance.error());
        if (done) continue;
        std::fprintf(stderr, "doppel: %s\n", done.error().message().c_str());
        code = arguments.verb().failure;
    }
    return code;
}

Result<Instance> find_running(Store& store, const std::string& name, const std::string& failed) {
    DOPPEL_TRY(Instance instance, store.find(name));
    if (instance.state == RunState::kRunning) return instance;
    return fail(instance::not_running(instance, failed));
}

Result<UniqueFd> start_instance(const Store& store, const Instance& instance, int attach) {
    DOPPEL_TRY(const std::string keeper, beside("doppel-keeper"));
    DOPPEL_TRY(const std::string machine, beside("doppel-machine"));
    DOPPEL_TRY(const std::string self, beside("doppel-instance"));
    DOPPEL_TRY(const image::Catalog catalog, image::Catalog::of_user());
    Plan plan;
    plan.image = instance.document.image;
    plan.specification = instance.document.machine;
    plan.arch.value = machine::name_of(plan.specification.arch);
    int maker_code = 0;
    const std::filesystem::path own = store.folder().directory_of(instance.row.id);
    DOPPEL_TRY(const bool whole, complete(plan, catalog, maker_code, own));
    if (!whole) return fail(Error{"start", instance.row.name, "there is no image " + plan.image, ""});
    return instance::start(store, instance, plan.specification, {keeper, machine, self}, attach);
}

Result<> start_if_stopped(Store& store, const Instance& instance) {
    DOPPEL_CHECK(store.make_directory(instance));
    DOPPEL_TRY(const auto hold, instance::ChangesLock::wait(store.folder().directory_of(instance.row.id)));
    DOPPEL_TRY(const Instance now, store.look_again(instance));
    if (now.runs()) return {};
    DOPPEL_CHECK(start_instance(store, now));
    return {};
}

Result<int> timeout_of(const Arguments& arguments) {
    constexpr uint64_t kDefault = 30, kMost = 86400;  // seconds
    uint64_t seconds = kDefault;
    if (const auto given = arguments.value("--timeout")) {
        DOPPEL_TRY(seconds, parse_count(*given, "--timeout"));
    }
    constexpr int kMilli = 1000;
    return static_cast<int>(std::min(seconds, kMost)) * kMilli;
}

std::string time_text(uint64_t nanoseconds) {
    char text[instance::kTimeText];
    instance::format_time(nanoseconds, text);
    return text;
}

}  // namespace doppel::cli
