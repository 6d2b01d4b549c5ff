#include "cli/instance/follow.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "base/log.h"
#include "base/sizes.h"
#include "cli/instance/plugging.h"
#include "instance/document_text.h"
#include "instance/lifecycle.h"
#include "instance/limits.h"

namespace doppel::cli {

namespace fs = std::filesystem;
using instance::Document;
using instance::Instance;
using instance::RunState;
using instance::Store;
using machine::control::Command;
using machine::control::Request;

namespace {

constexpr int kLooks = 40;     // for what a guest does
constexpr int kStep = 50'000;  // microseconds from one to the next

void tell(const Instance& instance, const std::string& text) {
    std::fprintf(stderr, "doppel: %s: %s\n", instance.row.name.c_str(), text.c_str());
}

// What was said of a key, or nothing when it holds only later.
using Followed = std::optional<std::string>;

// The balloon when the guest has handed over what it was asked for, or does no more.
uint64_t settled_balloon(const Store& store, const Instance& instance, uint64_t wanted) {
    uint64_t last = 0;
    int same = 0;
    constexpr int kSame = 60;
    for (int i = 0; i < 10 * kLooks && same < kSame; i++) {
        const auto status = instance::control(store, instance, {});
        if (!status || status->balloon == wanted) return wanted;
        same = status->balloon == last ? same + 1 : 0;
        last = status->balloon;
        usleep(kStep);
    }
    return last;
}

Followed follow_memory(const Store& store, const Instance& instance, const Document& after, Guest& guest) {
    const auto status = instance::control(store, instance, {});
    if (!status) return std::nullopt;
    const uint64_t has = status->memory, wanted = after.machine.memory;
    if (wanted > has)
        return fmt::format("memory is {} when it starts again: it was started with {}, and can have less only",
                           format_size(wanted), format_size(has));
    guest.load_module("virtio_balloon");
    Request request{Command::kBalloon};
    request.bytes = has - wanted;
    if (!instance::control(store, instance, request)) return std::nullopt;
    const uint64_t given = settled_balloon(store, instance, request.bytes);
    if (given == request.bytes)
        return fmt::format("memory is {} now: the guest has handed over {}", format_size(wanted), format_size(given));
    return fmt::format("the guest has handed over {} so far, and is asked for {}; memory is {} when it starts again",
                       format_size(given), format_size(request.bytes), format_size(wanted));
}

Followed follow_engine(const Store& store, const Instance& instance, const Document& after) {
    Request request{Command::kEngine};
    request.engine = machine::name_of(after.machine.engine);
    if (!instance::control(store, instance, request)) return std::nullopt;
    return "";
}

Followed follow_cpus(const Store& store, const Instance& instance, const Document& after, Guest& guest) {
    const auto status = instance::control(store, instance, {});
    if (!status) return std::nullopt;
    const unsigned wanted = after.machine.cpus;
    if (wanted > status->cpus)
        return fmt::format("cpus is {} when it starts again: it was started with {}{}", wanted, status->cpus,
                           after.machine.max_cpus > wanted ? "" : ", and --cpus N,max=M leaves room for more");
    const Result<> done = guest.set_cpus_online(wanted);
    if (done) return fmt::format("cpus is {} now: the guest uses so many of its {}", wanted, status->cpus);
    return fmt::format("cpus is {} when it starts again, not now: {}", wanted, done.error().message());
}

constexpr std::array kLimits{std::string_view("cpu_weight"), std::string_view("cpu_quota"),
                             std::string_view("cpu_pin"),    std::string_view("memory_limit"),
                             std::string_view("io_weight"),  std::string_view("io_bps"),
                             std::string_view("io_iops")};

bool is_limit(std::string_view key) {
    return std::ranges::find(kLimits, key) != kLimits.end();
}

// Each limit is told of, whether it holds now or only later.
void follow_limits(const Store& store, const Instance& instance, const Document& after) {
    if (instance.document.machine.limits == after.machine.limits || !instance.record) return;
    const fs::path directory = store.folder().directory_of(instance.row.id);
    const auto hold = instance::ChangesLock::wait(directory);
    if (!hold) return log_error("{}", hold.error().message());
    // Its number may be another's by now.
    if (!instance::open_holder(instance.record->machine, directory))
        return tell(instance, "its limits change when it starts again: its machine has just ended");
    const auto ask = [&](const machine::control::Limits& limits) -> Result<> {
        machine::control::Request request{machine::control::Command::kLimits};
        request.limits = limits;
        DOPPEL_CHECK(instance::control(store, instance, request));
        return {};
    };
    const auto changed =
        instance::change_limits(directory, {instance.document.machine, after.machine, instance.record->machine, ask});
    for (const auto& [limit, value, by] : changed.now) {
        const std::string text = value.empty() ? "is no longer limited" : "is " + value + " now";
        std::fprintf(stderr, "doppel: %s: %s %s, by %s\n", instance.row.name.c_str(), limit.c_str(), text.c_str(),
                     by.c_str());
    }
    for (const auto& [limit, value, by] : changed.later)
        std::fprintf(stderr, "doppel: %s: %s is %s when it starts again, not now: %s\n", instance.row.name.c_str(),
                     limit.c_str(), value.empty() ? "no limit" : value.c_str(), by.c_str());
}

// Disks that are gone and disks that are new; each is told of.
void follow_disks(const Store& store, const Instance& instance, const Document& after, Guest& guest) {
    const auto &before = instance.document.machine.disks, &now = after.machine.disks;
    const auto in = [](const auto& disks, const machine::DiskChoice& one) {
        return std::ranges::find(disks, one) != disks.end();
    };
    for (const machine::DiskChoice& one : before) {
        if (in(now, one)) continue;
        const Result<> done = detach_disk(store, instance, one, guest);
        tell(instance,
             done ? fmt::format("the disk {} is detached", one.path)
                  : fmt::format("the disk {} stays until it starts again: {}", one.path, done.error().message()));
    }
    for (const machine::DiskChoice& one : now) {
        if (in(before, one)) continue;
        const auto done = attach_disk(store, instance, one, guest);
        tell(instance,
             done ? fmt::format("the disk {} is attached: {}", one.path, *done)
                  : fmt::format("the disk {} comes when it starts again: {}", one.path, done.error().message()));
    }
}

}  // namespace

void follow(const Store& store, const Instance& instance, const Document& after) {
    if (instance.state != RunState::kRunning && instance.state != RunState::kPaused) return;
    follow_limits(store, instance, after);
    Guest guest(store, instance);
    std::string later;
    for (const std::string& key : instance::changed_keys(instance.document, after)) {
        if (key == "autostart" || is_limit(key)) continue;
        Followed followed;
        if (key == "memory") followed = follow_memory(store, instance, after, guest);
        if (key == "engine") followed = follow_engine(store, instance, after);
        if (key == "cpus") followed = follow_cpus(store, instance, after, guest);
        if (key == "disk") {
            follow_disks(store, instance, after, guest);
            followed = "";
        }
        if (followed && !followed->empty()) tell(instance, *followed);
        if (!followed) later += (later.empty() ? "" : ", ") + key;
    }
    if (!later.empty())
        std::fprintf(stderr, "doppel: %s runs; when it starts again changes: %s\n", instance.row.name.c_str(),
                     later.c_str());
}

}  // namespace doppel::cli
