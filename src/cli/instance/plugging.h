// What a guest has to do for a change of its machine, by its agent; disks that come and go while it runs.
#pragma once

#include <optional>
#include <string>

#include "agent/client/client.h"
#include "base/result.h"
#include "instance/store.h"

namespace doppel::cli {

// Connects when it is first needed, and waits for the agent, once.
class Guest {
  public:
    Guest(const instance::Store& store, const instance::Instance& instance) : store_(store), instance_(instance) {}

    // As far as the guest has it, and has not loaded it already; says nothing.
    void load_module(const std::string& name);
    Result<> set_cpus_online(unsigned count);
    Result<> rescan_pci();
    Result<> remove_pci(unsigned slot);
    // What a script prints; that it fails is an error which says what it printed.
    Result<std::string> run(const std::string& script);

  private:
    Result<agent::client::Client*> client();
    Result<> ask(agent::Service service, const agent::Bytes& request, const std::string& what);

    const instance::Store& store_;
    const instance::Instance& instance_;
    std::optional<agent::client::Client> client_;
    std::optional<Error> missing_;  // why there is none
};

// What became of it in the guest, in words. An error: the machine does not have it.
Result<std::string> attach_disk(const instance::Store& store, const instance::Instance& instance,
                                const machine::DiskChoice& disk, Guest& guest);
// One that the guest uses is left alone.
Result<> detach_disk(const instance::Store& store, const instance::Instance& instance, const machine::DiskChoice& disk,
                     Guest& guest);

}  // namespace doppel::cli
