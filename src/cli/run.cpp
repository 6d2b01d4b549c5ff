// doppel run: decide, make what is missing, and become the machine.
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/launch.h"
#include "cli/obtain.h"
#include "cli/plan.h"
#include "instance/limits.h"

namespace doppel::cli {
namespace {

int explain(const Plan& plan, bool json, bool instance) {
    const auto limits = instance::expected_limits(plan.specification, instance);
    if (json) {
        nlohmann::json text{{"level", plan.level.value},
                            {"arch", plan.arch.value},
                            {"engine", plan.engine.value},
                            {"why", {{"level", plan.level.why}, {"arch", plan.arch.why}, {"engine", plan.engine.why}}}};
        for (const auto& [limit, value, by] : limits)
            text["limits"].push_back({{"limit", limit}, {"value", value}, {"carried_by", by}});
        std::puts(text.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
        return 0;
    }
    for (const auto& [name, choice] :
         {std::pair{"level", &plan.level}, {"architecture", &plan.arch}, {"engine", &plan.engine}})
        std::printf("%-13s %-10s %s\n", name, choice->value.c_str(), choice->why.c_str());
    for (const auto& [limit, value, by] : limits)
        std::printf("%-13s %-10s by %s\n", limit.c_str(), value.c_str(), by.c_str());
    return 0;
}

// Otherwise nothing of it stays, and nothing is between the user and the machine.
bool keeps_instance(const Arguments& arguments) {
    return arguments.has("--detach") || arguments.has("--name") || arguments.has("--restart");
}

}  // namespace

Result<int> run_run(const Arguments& arguments) {
    DOPPEL_TRY(const image::Catalog catalog, image::Catalog::of_user());
    DOPPEL_TRY(Plan plan, make_plan(arguments, catalog));
    if (arguments.has("--explain")) return explain(plan, arguments.has("--json"), keeps_instance(arguments));
    if (keeps_instance(arguments)) {
        std::vector<std::string> words{"run"};
        words.insert(words.end(), arguments.words().begin(), arguments.words().end());
        return fail(become("doppel-instance", words));
    }
    DOPPEL_CHECK(instance::check_without_cgroups(plan.specification));
    int maker_code = 0;
    DOPPEL_TRY(const bool whole, complete(plan, catalog, maker_code));
    if (!whole) return maker_code > 128 ? maker_code : arguments.verb().failure;
    if (!plan.arch_was_asked && isatty(STDERR_FILENO) == 1)
        std::fprintf(stderr, "doppel: a %s machine: %s\n", plan.arch.value.c_str(), plan.arch.why.c_str());
    DOPPEL_TRY(const UniqueFd specification, machine::to_memfd(plan.specification));
    return fail(become("doppel-machine", {"--spec-fd", std::to_string(specification.get())}));
}

Result<int> run_image(const Arguments& arguments) {
    return fail(become("doppel-image", arguments.operands()));
}

Result<int> run_network(const Arguments& arguments) {
    return fail(become("doppel-network", arguments.operands()));
}

Result<int> run_disk(const Arguments& arguments) {
    return fail(become("doppel-disk", arguments.operands()));
}

}  // namespace doppel::cli
