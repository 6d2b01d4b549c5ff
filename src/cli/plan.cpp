#include "cli/plan.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "base/sizes.h"
#include "cli/plan_disk.h"
#include "cli/plan_tree.h"
#include "cli/recognise.h"
#include "cli/values.h"
#include "image/makeable.h"

namespace doppel::cli {
namespace {

using machine::Specification;

constexpr std::array kPlannedArchitectures{std::string_view("x86_64"), std::string_view("aarch64")};
constexpr std::array kPlannedEngines{std::string_view("kvm")};
constexpr std::array kLevels{std::string_view("auto"), std::string_view("machine"), std::string_view("container"),
                             std::string_view("program")};
constexpr std::array kMachineOptions{std::string_view("--kernel"),
                                     std::string_view("--initrd"),
                                     std::string_view("--append"),
                                     std::string_view("--firmware"),
                                     std::string_view("--console"),
                                     std::string_view("--agent"),
                                     std::string_view("--control"),
                                     std::string_view("--no-reboot"),
                                     std::string_view("--engine"),
                                     std::string_view("--irqchip"),
                                     std::string_view("--virtio"),
                                     std::string_view("--vsock"),
                                     std::string_view("--gdb"),
                                     std::string_view("--sandbox"),
                                     std::string_view("--trace"),
                                     std::string_view("--flash"),
                                     std::string_view("--disk"),
                                     std::string_view("--code-cache"),
                                     std::string_view("--translate-without"),
                                     std::string_view("--stats"),
                                     std::string_view("--translation-cache"),
                                     std::string_view("--translation-cache-size")};

bool contains(const auto& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

Error run_failed(std::string subject, std::string why, std::string cure = {}) {
    return Error{"run", std::move(subject), std::move(why), std::move(cure)};
}

// The machine's own values, in one place with their errors; ranges are validate()'s.
Result<> take_machine_values(const Arguments& arguments, Specification& s) {
    if (const auto cpus = arguments.value("--cpus")) {
        constexpr std::string_view kMax = ",max=";
        const size_t comma = cpus->find(kMax);
        DOPPEL_TRY(const uint64_t count, parse_count(cpus->substr(0, comma), "--cpus"));
        s.cpus = static_cast<unsigned>(std::min<uint64_t>(count, ~0U));
        if (comma != cpus->npos) {
            DOPPEL_TRY(const uint64_t most, parse_count(cpus->substr(comma + kMax.size()), "--cpus"));
            s.max_cpus = static_cast<unsigned>(std::clamp<uint64_t>(most, 1, ~0U));
        }
    }
    if (const auto vlen = arguments.value("--vlen")) {
        DOPPEL_TRY(const uint64_t bits, parse_count(*vlen, "--vlen"));
        s.vlen = static_cast<unsigned>(std::min<uint64_t>(bits, ~0U));
    }
    if (const auto memory = arguments.value("--memory")) {
        DOPPEL_TRY(s.memory, parse_size(*memory, "--memory"));
    }
    if (const auto console = arguments.value("--console")) {
        const auto choice = machine::console_from(*console);
        if (!choice)
            return fail(Error::usage("--console", *console + " is no console",
                                     "give stdio, file:FILE, pty, socket:FILE or none"));
        s.console = *choice;
    }
    if (const auto agent = arguments.value("--agent")) {
        const auto path = machine::agent_from(*agent);
        if (!path) return fail(Error::usage("--agent", *agent + " is no place for it", "give socket:FILE or none"));
        s.agent = *path;
    }
    if (const auto control = arguments.value("--control")) {
        const auto path = machine::control_from(*control);
        if (!path) return fail(Error::usage("--control", *control + " is no place for it", "give socket:FILE or none"));
        s.control = *path;
    }
    if (const auto irqchip = arguments.value("--irqchip")) {
        const auto choice = machine::irqchip_from(*irqchip);
        if (!choice)
            return fail(Error::usage("--irqchip", *irqchip + " is no interrupt controller", "give aia or plic"));
        s.irqchip = *choice;
    }
    s.no_reboot = arguments.has("--no-reboot");
    if (const auto gdb = arguments.value("--gdb")) {
        if (gdb->empty()) return fail(Error::usage("--gdb", "its value is empty"));
        s.gdb = *gdb;
    }
    if (const auto sandbox = arguments.value("--sandbox")) {
        if (*sandbox != "on" && *sandbox != "off")
            return fail(Error::usage("--sandbox", *sandbox + " is neither on nor off"));
        s.sandbox = *sandbox == "on";
    }
    if (const auto statistics = arguments.value("--stats")) {
        if (statistics->empty()) return fail(Error::usage("--stats", "its value is empty"));
        s.statistics = *statistics;
    }
    for (const std::string& text : arguments.values("--trace")) {
        DOPPEL_TRY(auto trace, machine::trace_from(text));
        s.traces.push_back(std::move(trace));
    }
    for (const std::string& text : arguments.values("--disk")) {
        DOPPEL_TRY(auto disk, machine::disk_from(text));
        s.disks.push_back(std::move(disk));
    }
    for (const auto& [option, path] : {std::pair{"--kernel", &s.kernel},
                                       {"--initrd", &s.initrd},
                                       {"--append", &s.append},
                                       {"--firmware", &s.firmware}}) {
        const auto value = arguments.value(option);
        if (value && value->empty() && path != &s.append) return fail(Error::usage(option, "its value is empty"));
        *path = value.value_or("");
    }
    return {};
}

Result<> take_limits(const Arguments& arguments, machine::Limits& limits) {
    for (const auto& [option, into] :
         {std::pair{"--cpu-weight", &limits.cpu_weight}, std::pair{"--io-weight", &limits.io_weight}}) {
        const auto value = arguments.value(option);
        if (!value) continue;
        DOPPEL_TRY(const uint64_t weight, parse_count(*value, option));
        if (weight == 0) return fail(Error::usage(option, "0 is not between 1 and 10000", "100 is everybody's"));
        *into = static_cast<unsigned>(std::min<uint64_t>(weight, ~0U));
    }
    if (const auto quota = arguments.value("--cpu-quota")) {
        DOPPEL_TRY(limits.cpu_quota, machine::quota_from(*quota));
    }
    for (const auto& [option, into] :
         {std::pair{"--memory-limit", &limits.memory_limit}, std::pair{"--io-bps", &limits.io_bps}}) {
        const auto value = arguments.value(option);
        if (!value) continue;
        DOPPEL_TRY(*into, parse_size(*value, option));
    }
    if (const auto requests = arguments.value("--io-iops")) {
        DOPPEL_TRY(limits.io_iops, parse_count(*requests, "--io-iops"));
    }
    for (const std::string& text : arguments.values("--cpu-pin")) {
        DOPPEL_TRY(auto pin, machine::pin_from(text));
        limits.pins.push_back(std::move(pin));
    }
    return {};
}

Result<> take_virtio(const Arguments& arguments, Specification& s) {
    if (const auto virtio = arguments.value("--virtio")) {
        const auto choice = machine::virtio_from(*virtio);
        if (!choice) return fail(Error::usage("--virtio", *virtio + " is no transport", "give pci or mmio"));
        s.virtio = *choice;
    }
    if (const auto vsock = arguments.value("--vsock")) {
        const auto choice = machine::vsock_from(*vsock);
        if (!choice || choice->path.empty())
            return fail(Error::usage("--vsock", *vsock + " is no vsock", "give FILE or FILE,cid=N"));
        s.vsock = *choice;
    }
    return {};
}

Result<> take_flash(const Arguments& arguments, Specification& s) {
    const std::vector<std::string> given = arguments.values("--flash");
    constexpr size_t kBanks = 2;
    if (given.size() > kBanks)
        return fail(Error::usage("--flash", "is given more than twice", "give the code first, then the variables"));
    for (const std::string& text : given)
        if (machine::flash_from(text).path.empty()) return fail(Error::usage("--flash", "its value is empty"));
    if (!given.empty()) s.code_flash = machine::flash_from(given[0]);
    if (given.size() == kBanks) s.variable_flash = machine::flash_from(given[1]);
    return {};
}

Result<> take_networks(const Arguments& arguments, Specification& s) {
    constexpr std::string_view kNone = "none";
    const std::vector<std::string> given = arguments.values("--net");
    for (const std::string& text : given) {
        if (text == kNone && given.size() > 1)
            return fail(Error::usage("--net", "is none and something else", "leave one of them out"));
        if (text == kNone) continue;
        DOPPEL_TRY(auto net, machine::net_from(text));
        s.networks.push_back(net);
    }
    for (const std::string& text : arguments.values("--publish")) {
        DOPPEL_TRY(auto forward, machine::publish_from(text));
        s.forwards.push_back(std::move(forward));
    }
    // Ports are led into a network, and there is one kind that takes them.
    if (given.empty() && !s.forwards.empty()) s.networks.emplace_back();
    return {};
}

Result<> take_shares(const Arguments& arguments, Specification& s) {
    for (const std::string& text : arguments.values("--share")) {
        DOPPEL_TRY(auto share, machine::share_from(text));
        s.shares.push_back(std::move(share));
    }
    return {};
}

// -i and -t say what a machine's console on stdio is anyway; elsewhere they cannot hold.
Result<> check_terminal(const Arguments& arguments, const Specification& s) {
    for (const char* option : {"-i", "-t"})
        if (arguments.has(option) && s.console.kind != machine::ConsoleKind::kStdio)
            return fail(
                Error::usage(option, "does not apply to --console " + text_of(s.console), "leave one of them out"));
    if (arguments.has("-t") && isatty(STDIN_FILENO) == 0)
        return fail(Error::usage("-t", "standard input is not a terminal", "leave it out"));
    return {};
}

Result<> choose_arch(const Arguments& arguments, Plan& plan) {
    const auto asked = arguments.value("--arch");
    plan.arch_was_asked = asked.has_value();
    if (!asked) {
        plan.arch = {"riscv64", "the only architecture that machines are built for so far"};
    } else if (machine::architecture_from(*asked)) {
        plan.arch = {*asked, "asked by --arch"};
    } else if (contains(kPlannedArchitectures, *asked)) {
        return fail(not_built("run --arch " + *asked));
    } else {
        return fail(Error::usage("--arch", *asked + " is no architecture", "give riscv64"));
    }
    plan.specification.arch = *machine::architecture_from(plan.arch.value);
    return {};
}

// Where translations are kept: as asked, else in the user's cache, if there is a place for one.
Result<> choose_translation_cache(const Arguments& arguments, bool interprets, Specification& s) {
    for (const char* option : {"--translation-cache", "--translation-cache-size"})
        if (interprets && arguments.has(option))
            return fail(Error::usage(option, "does not apply to --engine interpret", "leave one of them out"));
    if (interprets) return {};
    const auto place = arguments.value("--translation-cache");
    if (place && place->empty()) return fail(Error::usage("--translation-cache", "its value is empty"));
    if (!place) {
        const auto folder = default_translation_cache();
        if (folder) s.translation_cache = folder->string();
    } else if (*place != "off") {
        s.translation_cache = *place;
    }
    if (const auto size = arguments.value("--translation-cache-size")) {
        DOPPEL_TRY(s.translation_cache_size, parse_size(*size, "--translation-cache-size"));
    }
    return {};
}

Result<> choose_engine(const Arguments& arguments, Plan& plan) {
    const std::string asked = arguments.value("--engine").value_or("auto");
    if (contains(kPlannedEngines, asked)) return fail(not_built("run --engine " + asked));
    if (!machine::engine_from(asked))
        return fail(Error::usage("--engine", asked + " is no engine", "give auto, translate, interpret or check"));
    const std::string chosen = asked != "auto" ? asked : DOPPEL_TRANSLATE ? "translate" : "interpret";
    plan.specification.engine = *machine::engine_from(asked);
    if (const auto size = arguments.value("--code-cache")) {
        if (chosen == "interpret")
            return fail(Error::usage("--code-cache", "does not apply to --engine interpret", "leave one of them out"));
        DOPPEL_TRY(plan.specification.code_cache, parse_size(*size, "--code-cache"));
    }
    if (const auto list = arguments.value("--translate-without")) {
        if (chosen == "interpret")
            return fail(
                Error::usage("--translate-without", "does not apply to --engine interpret", "leave one of them out"));
        if (list->empty()) return fail(Error::usage("--translate-without", "its value is empty"));
        DOPPEL_TRY(plan.specification.techniques, machine::techniques_from(*list));
    }
    DOPPEL_CHECK(choose_translation_cache(arguments, chosen == "interpret", plan.specification));
    const bool traces_translations = std::ranges::any_of(
        plan.specification.traces, [](const auto& trace) { return (trace.kinds & trace_kind::kTranslations) != 0; });
    if (traces_translations && chosen == "interpret")
        return fail(Error::usage("--trace translate", "does not apply to --engine interpret", "leave one of them out"));
    plan.engine = {chosen, asked == "auto" ? "the fastest that this build has" : "asked by --engine"};
    return {};
}

// The level that --as asks for, or nothing under auto.
Result<std::optional<std::string>> asked_level(const Arguments& arguments) {
    const std::string asked = arguments.value("--as").value_or("auto");
    if (!contains(kLevels, asked))
        return fail(Error::usage("--as", asked + " is no level", "give machine, container, program or auto"));
    if (asked == "auto") return std::optional<std::string>();
    if (asked != "machine")
        for (const auto option : kMachineOptions)
            if (arguments.has(option))
                return fail(
                    Error::usage(std::string(option), "only a machine has it, not a " + asked, "leave --as out"));
    return std::optional(asked);
}

bool asks_for_machine(const Arguments& arguments) {
    return std::ranges::any_of(kMachineOptions, [&](std::string_view option) { return arguments.has(option); });
}

std::string_view level_of(const Recognised& what) {
    switch (what.content) {
        case Content::kImage:
        case Content::kArchive:
            return "container";
        case Content::kProgram:
            return "program";
        case Content::kTree:
        case Content::kDisk:
        case Content::kForeignDisk:
        case Content::kKernel:
        case Content::kUnknown:
            break;
    }
    return "machine";
}

Error refuse_path(const std::string& path, const Recognised& what, const std::optional<std::string>& as,
                  bool machine_options) {
    if (what.content == Content::kKernel) return run_failed(path, "it is a Linux kernel", "use --kernel " + path);
    if (what.content == Content::kUnknown && !as)
        return run_failed(path, "it is " + what.kind, "name a raw disk by --disk");
    const std::string level = as ? *as : machine_options ? "machine" : std::string(level_of(what));
    return run_failed(path, "it is " + what.kind + ", and running one as a " + level + " is not built yet");
}

constexpr uint64_t kSystemMemory = uint64_t{1} << 30;  // bytes

// A system on a disk is meant to be used as a computer is.
Result<> set_system_defaults(const Arguments& arguments, Specification& s) {
    if (!arguments.has("--net") && s.networks.empty()) s.networks.emplace_back();
    if (!arguments.has("--memory")) s.memory = kSystemMemory;
    for (auto& share : s.shares) {
        if (share.owner == 0) share.owner = image::guest_uid();
        if (!share.guest.empty()) continue;
        std::error_code error;
        share.guest = std::filesystem::absolute(share.path, error).lexically_normal().string();
        if (error) return fail(Error::system("share", share.path, error.value()));
        while (share.guest.size() > 1 && share.guest.ends_with('/')) share.guest.pop_back();
        DOPPEL_CHECK(machine::check_share(share));
    }
    return {};
}

Result<> start_system(const Arguments& arguments, const image::Catalog& catalog, Plan& plan) {
    DOPPEL_CHECK(start_through_firmware(arguments, catalog, plan));
    return set_system_defaults(arguments, plan.specification);
}

Result<> choose_image(const Arguments& arguments, const image::Catalog& catalog, const std::string& word, Plan& plan) {
    const auto makeable = image::makeable(word);
    const std::string name = makeable.value_or(word);
    DOPPEL_TRY(const auto image, catalog.find(name, plan.arch_was_asked ? plan.arch.value : std::string()));
    if (!image && !makeable) {
        const bool is_file = access(name.c_str(), F_OK) == 0;
        return fail(run_failed(name, "there is no image of that name",
                               is_file ? "for the file, say ./" + name : "doppel image ls lists the images"));
    }
    if (image && image->kind != "machine") return fail(not_built("run an image that is a " + image->kind));
    if (arguments.operands().size() > 1) {
        const std::string& next = arguments.operands()[1];
        if (!next.starts_with("-"))
            return fail(run_failed(next, "running a command inside a machine is not built yet"));
        return fail(Error::usage(next, "options stand before what is run", "write it before " + name));
    }
    plan.image = name;
    if (image ? image->has_disk() : name != image::kTinyName)
        DOPPEL_CHECK(set_system_defaults(arguments, plan.specification));
    if (plan.level.why.empty()) plan.level = {"machine", "the image " + name + " is a machine"};
    if (!plan.arch_was_asked && image) {
        const auto arch = machine::architecture_from(image->arch);
        if (!arch) return fail(not_built("run an image for " + image->arch));
        plan.specification.arch = *arch;
        plan.arch = {image->arch, "the image's only one"};
    }
    return {};
}

Result<> choose_level(const Arguments& arguments, const image::Catalog& catalog, Plan& plan) {
    DOPPEL_TRY(const auto as, asked_level(arguments));
    const bool machine_options = asks_for_machine(arguments);
    if (as) plan.level = {*as, "asked by --as"};
    if (arguments.operands().empty()) {
        const auto* given = std::ranges::find_if(kStartable, [&](const char* option) { return arguments.has(option); });
        const bool only_disks = given == kStartable.end();
        if (only_disks && !arguments.has("--disk"))
            return fail(Error::usage("run", "there is nothing to run",
                                     "give an image such as tiny, a path, --kernel, --firmware or --flash"));
        if (!as) plan.level = {"machine", std::string(only_disks ? "--disk" : *given) + " is a machine's"};
        return only_disks ? start_system(arguments, catalog, plan) : Result<>();
    }
    const std::string& what = arguments.operands()[0];
    if (what.empty()) return fail(Error::usage("run", "WHAT is empty", "give an image such as tiny, or a path"));
    if (what.find('/') != what.npos) {
        DOPPEL_TRY(const Recognised found, recognise(what));
        const bool is_disk = found.content == Content::kDisk || found.content == Content::kForeignDisk;
        if (is_disk && as.value_or("machine") == "machine") {
            DOPPEL_CHECK(choose_disk(arguments, found, plan));
            return names_what_starts(arguments) ? Result<>() : start_system(arguments, catalog, plan);
        }
        if (found.content == Content::kTree && as.value_or("machine") == "machine")
            return choose_tree(arguments, what, plan);
        return fail(refuse_path(what, found, as, machine_options));
    }
    if (as && *as != "machine") return fail(not_built("run an image as a " + *as));
    return choose_image(arguments, catalog, what, plan);
}

}  // namespace

Result<Plan> make_plan(const Arguments& arguments, const image::Catalog& catalog) {
    if (arguments.has("--json") && !arguments.has("--explain"))
        return fail(Error::usage("--json", "does not apply without --explain"));
    if (arguments.has("--rw") &&
        (arguments.operands().empty() || !std::filesystem::is_directory(arguments.operands()[0])))
        return fail(Error::usage("--rw", "only a root tree is written to by it", "leave it out"));
    Plan plan;
    DOPPEL_CHECK(take_machine_values(arguments, plan.specification));
    DOPPEL_CHECK(take_limits(arguments, plan.specification.limits));
    DOPPEL_CHECK(take_virtio(arguments, plan.specification));
    DOPPEL_CHECK(take_flash(arguments, plan.specification));
    DOPPEL_CHECK(take_shares(arguments, plan.specification));
    DOPPEL_CHECK(take_networks(arguments, plan.specification));
    DOPPEL_CHECK(choose_arch(arguments, plan));
    DOPPEL_CHECK(choose_engine(arguments, plan));
    DOPPEL_CHECK(check_terminal(arguments, plan.specification));
    DOPPEL_CHECK(choose_level(arguments, catalog, plan));
    // An image's kernel is not known yet; everything else is checked before an image is made for nothing.
    Specification whole = plan.specification;
    if (!plan.image.empty() && whole.kernel.empty()) whole.kernel = "kernel";
    DOPPEL_CHECK(machine::validate(whole));
    if (!whole.initrd.empty() && plan.image.empty() && whole.kernel.empty() && whole.firmware.empty() &&
        whole.code_flash.path.empty())
        return fail(Error::usage("--initrd", "needs --kernel, --firmware or --flash"));
    return plan;
}

Result<std::filesystem::path> default_translation_cache() {
    DOPPEL_TRY(const auto cache, image::cache_directory());
    return cache / "translations";
}

machine::DiskChoice throwaway_disk(const image::Image& image) {
    return {.path = image.disk(), .format = machine::DiskFormat::kQcow2, .snapshot = true};
}

Result<> add_image(Plan& plan, const image::Image& image, const machine::DiskChoice& disk) {
    Specification& s = plan.specification;
    if (s.kernel.empty()) s.kernel = image.kernel();
    // A kernel whose root is a share has the driver in itself.
    const bool root_is_shared = std::ranges::any_of(s.shares, [](const auto& share) { return share.guest == "/"; });
    if (s.initrd.empty() && !root_is_shared) s.initrd = image.initrd();
    if (image.has_disk()) s.disks.insert(s.disks.begin(), disk);
    if (!image.append.empty()) s.append = s.append.empty() ? image.append : image.append + " " + s.append;
    return machine::validate(s);
}

}  // namespace doppel::cli
