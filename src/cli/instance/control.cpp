// doppel stop, kill, pause, resume and wait.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/instance/session.h"
#include "cli/instance/verbs.h"

namespace doppel::cli {

using instance::Instance;
using instance::RunState;
using instance::Store;
using machine::control::Command;

namespace {

Result<int> for_each_running(const Arguments& arguments, Command command, const char* event) {
    DOPPEL_TRY(Store store, Store::open());
    return for_each_name(arguments, store, [&](const Instance& instance) -> Result<> {
        if (instance.state != RunState::kRunning)
            return fail(instance::not_running(instance, std::string(arguments.verb().name)));
        DOPPEL_CHECK(instance::control(store, instance, {command}));
        store.tell(instance, event);
        return {};
    });
}

}  // namespace

Result<int> run_stop(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const int patience, timeout_of(arguments));
    return for_each_name(arguments, store,
                         [&](const Instance& instance) { return instance::stop(store, instance, patience); });
}

Result<int> run_kill(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    return for_each_name(arguments, store, [&](const Instance& instance) -> Result<> {
        if (!instance.runs()) return fail(instance::not_running(instance, "kill"));
        return instance::kill(store, instance);
    });
}

Result<int> run_pause(const Arguments& arguments) {
    return for_each_running(arguments, Command::kPause, "paused");
}

Result<int> run_resume(const Arguments& arguments) {
    return for_each_running(arguments, Command::kResume, "resumed");
}

Result<int> run_wait(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    auto array = nlohmann::json::array();
    const bool json = arguments.has("--json");
    DOPPEL_TRY(const int code, for_each_name(arguments, store, [&](const Instance& instance) -> Result<> {
                   instance::wait_until_stopped(store, instance, -1);
                   const auto record = instance::read_record(store.folder().directory_of(instance.row.id));
                   const bool known = record && record->phase == instance::Phase::kEnded && record->code >= 0;
                   if (json) {
                       array.push_back({{"name", instance.row.name},
                                        {"exit_code", known ? nlohmann::json(record->code) : nlohmann::json()}});
                       return {};
                   }
                   if (!known)
                       return fail(Error{"wait", instance.row.name, "nobody knows its exit code",
                                         "it never ran, or its keeper was killed"});
                   std::printf("%d\n", record->code);
                   return {};
               }));
    if (json) std::puts(array.dump(2).c_str());
    return code;
}

}  // namespace doppel::cli
