#include "cli/instance/plugging.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "instance/lifecycle.h"
#include "storage/file_lock.h"

namespace doppel::cli {

using agent::Outcome;
using agent::Service;
using instance::Instance;
using instance::Store;
using machine::DiskChoice;
using machine::control::Command;
using machine::control::Request;

namespace {

constexpr const char* kAsk = "ask the guest";

std::string address_of(unsigned slot) {
    return fmt::format("0000:00:{:02x}.0", slot);
}

// Where the disk in a slot appears, under whatever name; it may take its driver a moment.
std::string script_that_finds(unsigned slot) {
    return fmt::format(
        "i=0; while [ $i -lt 50 ]; do for d in /sys/bus/pci/devices/{}/virtio*/block/*; do "
        "[ -e \"$d\" ] && echo \"${{d##*/}}\" && exit 0; done; i=$((i+1)); sleep 0.1; done; exit 1",
        address_of(slot));
}

// Fails with the use that the guest makes of it: mounted, swap, or under another device; of its partitions, too.
std::string script_that_looks_for_users(unsigned slot) {
    return fmt::format(
        "for d in /sys/bus/pci/devices/{}/virtio*/block/*; do [ -e \"$d\" ] || continue; n=${{d##*/}}; "
        "grep \"^/dev/$n\" /proc/mounts /proc/swaps && exit 1; "
        "for h in \"$d\"/holders/* \"$d\"/$n*/holders/*; do [ -e \"$h\" ] && echo \"/dev/$n is part of ${{h##*/}}\" && "
        "exit 1; "
        "done; done; exit 0",
        address_of(slot));
}

Result<UniqueFd> open_and_lock(const DiskChoice& disk) {
    constexpr const char* kOpen = "open disk";
    UniqueFd file(::open(disk.path.c_str(), (disk.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!file) return fail(Error::system(kOpen, disk.path, errno));
    struct stat status {};
    if (fstat(file.get(), &status) != 0) return fail(Error::system(kOpen, disk.path, errno));
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return fail(Error{kOpen, disk.path, "it is neither a file nor a block device", "name a disk"});
    const auto access = disk.read_only ? storage::Access::kRead : storage::Access::kWrite;
    DOPPEL_CHECK(storage::lock_file(file.get(), disk.path, access));
    return file;
}

Request request_for(Command command, const DiskChoice& disk) {
    Request request{command};
    request.disk = machine::text_of(disk);
    return request;
}

}  // namespace

Result<agent::client::Client*> Guest::client() {
    constexpr int kPatience = 2'000;  // milliseconds: one that boots is told nothing yet
    if (client_) return &*client_;
    if (missing_) return fail(*missing_);
    if (const auto status = instance::control(store_, instance_, {}); status && status->paused)
        return fail(Error{kAsk, instance_.row.name, "it is paused", "doppel resume " + instance_.row.name});
    auto connected = instance::reach_agent(store_, instance_, kPatience);
    if (!connected) return fail(missing_.emplace(std::move(connected).error()));
    client_.emplace(std::move(*connected));
    return &*client_;
}

Result<> Guest::ask(Service service, const agent::Bytes& request, const std::string& what) {
    DOPPEL_TRY(auto* const agent, client());
    DOPPEL_TRY(const Outcome outcome, agent->run(service, request));
    if (outcome.status == agent::Status::kDone) return {};
    return fail(agent::client::error_of(outcome, what));
}

Result<std::string> Guest::run(const std::string& script) {
    constexpr uint64_t kLimit = 4096;
    DOPPEL_TRY(auto* const agent, client());
    const UniqueFd output(memfd_create("doppel-output", MFD_CLOEXEC));
    if (!output) return fail(Error::system(kAsk, "memfd", errno));
    agent::ExecRequest request;
    request.arguments = {"/bin/sh", "-c", script};
    agent::client::Streams streams;
    streams.output = streams.error = output.get();
    DOPPEL_TRY(const Outcome outcome, agent->run(Service::kExec, agent::encode(request), streams));
    if (outcome.status != agent::Status::kDone) return fail(agent::client::error_of(outcome, kAsk));
    DOPPEL_TRY(const auto bytes, read_whole(output.get(), "output", kLimit, kAsk));
    std::string text(bytes.begin(), bytes.end());
    while (text.ends_with('\n')) text.pop_back();
    if (outcome.exit_code == 0 && outcome.signal == 0) return text;
    return fail(Error{kAsk, instance_.row.name, text.empty() ? "it could not do it" : printable(text), ""});
}

void Guest::load_module(const std::string& name) {
    (void)run("modprobe -q " + name);
}

Result<> Guest::set_cpus_online(unsigned count) {
    DOPPEL_CHECK(
        run(fmt::format("for c in /sys/devices/system/cpu/cpu[0-9]*; do i=${{c##*/cpu}}; w=0; "
                        "[ $i -lt {} ] && w=1; [ -e $c/online ] || continue; read -r now <$c/online; "
                        "[ $now = $w ] || echo $w >$c/online || exit 1; done",
                        count)));
    return {};
}

Result<> Guest::rescan_pci() {
    return ask(Service::kPci, agent::encode(agent::PciRequest{}), "look for new devices");
}

Result<> Guest::remove_pci(unsigned slot) {
    return ask(Service::kPci, agent::encode(agent::PciRequest{address_of(slot)}), "give up the device");
}

Result<std::string> attach_disk(const Store& store, const Instance& instance, const DiskChoice& disk, Guest& guest) {
    DOPPEL_TRY(const UniqueFd file, open_and_lock(disk));
    DOPPEL_TRY(const auto status,
               instance::control(store, instance, request_for(Command::kAttachDisk, disk), file.get()));
    if (const auto scanned = guest.rescan_pci(); !scanned)
        return fmt::format("the guest finds it when it looks at its PCI bus again ({})", scanned.error().message());
    guest.load_module("virtio_blk");
    const auto name = guest.run(script_that_finds(status.slot));
    if (!name) return std::string("the guest has found it, and no driver for it yet");
    return fmt::format("/dev/{} in the guest", printable(*name));
}

Result<> detach_disk(const Store& store, const Instance& instance, const DiskChoice& disk, Guest& guest) {
    const auto found = instance::control(store, instance, request_for(Command::kFindDisk, disk));
    if (!found) return fail(found.error());
    if (const auto unused = guest.run(script_that_looks_for_users(found->slot)); !unused) return fail(unused.error());
    DOPPEL_CHECK(guest.remove_pci(found->slot));
    DOPPEL_CHECK(instance::control(store, instance, request_for(Command::kDetachDisk, disk)));
    return {};
}

}  // namespace doppel::cli
