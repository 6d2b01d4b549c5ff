// doppel rm, undelete, purge and prune, and the end of instances that are removed at their end.
#include <cstdio>

#include "cli/instance/session.h"
#include "cli/instance/verbs.h"

namespace doppel::cli {

using instance::Instance;
using instance::Store;

Result<int> run_rm(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    const bool for_good = arguments.has("--now");
    DOPPEL_TRY(const int code, for_each_name(arguments, store, [&](const Instance& instance) -> Result<> {
                   if (arguments.has("--force") && instance.runs())
                       if (auto killed = instance::kill(store, instance); !killed) return killed;
                   // One that is removed at its end may be gone by now.
                   DOPPEL_TRY(const auto now, store.find_id(instance.row.id));
                   if (!now || now->row.deleted) return {};
                   return for_good ? store.erase(*now) : store.remove(*now);
               }));
    DOPPEL_CHECK(store.sweep());
    return code;
}

Result<int> run_undelete(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    return for_each_name(
        arguments, store, [&](const Instance& instance) { return store.undelete(instance); }, true);
}

Result<int> run_purge(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    int code = 0;
    if (!arguments.operands().empty()) {
        DOPPEL_TRY(code, for_each_name(
                             arguments, store, [&](const Instance& one) { return store.erase(one); }, true));
    } else {
        DOPPEL_TRY(const std::vector<Instance> deleted, store.list(true));
        for (const Instance& one : deleted) {
            DOPPEL_CHECK(store.erase(one));
            std::puts(one.row.name.c_str());
        }
    }
    DOPPEL_CHECK(store.sweep());
    return code;
}

Result<int> run_prune(const Arguments& arguments) {
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const std::vector<Instance> all, store.list());
    for (const Instance& one : all) {
        if (one.runs()) continue;
        const auto removed = arguments.has("--now") ? store.erase(one) : store.remove(one);
        DOPPEL_CHECK(removed);
        std::puts(one.row.name.c_str());
    }
    DOPPEL_CHECK(store.sweep());
    return 0;
}

Result<int> reap(const std::string& id) {
    DOPPEL_TRY(Store store, Store::open());
    DOPPEL_TRY(const auto instance, store.find_id(id));
    if (instance && instance->document.remove && !instance->runs()) DOPPEL_CHECK(store.erase(*instance));
    return 0;
}

}  // namespace doppel::cli
