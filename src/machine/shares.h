// The folders that a machine shares with its guest.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "device/virtio/fs/workers.h"
#include "machine/riscv64_board.h"
#include "machine/sandbox/file_remover.h"
#include "machine/sandbox/sandbox.h"
#include "machine/spec/share_choice.h"
#include "memory/guest_memory.h"

namespace doppel::machine {

class Shares {
  public:
    // Opens the folders: a confined process cannot. Raises the limit of open files to what the user may have.
    // Changes of a snapshot lie in a temporary folder, which `remover` removes: nullptr only where there is none.
    static Result<std::unique_ptr<Shares>> open(const std::vector<ShareChoice>& choices, sandbox::FileRemover* remover);
    ~Shares();

    // Once: the devices, in slots of their own.
    void add_devices(std::vector<riscv64::VirtioSlot>& to, memory::GuestMemory& memory, unsigned harts);
    std::vector<sandbox::SharedFolder> folders() const;
    bool changes() const;
    // What the kernel's command line tells of them.
    std::string parameters() const;
    // After confine_files and before confine_calls.
    void start_threads(unsigned harts);
    // Before the devices go.
    void stop() { workers_.stop(); }

  private:
    struct Share;
    explicit Shares(const std::vector<ShareChoice>& choices);
    Result<> open_all(sandbox::FileRemover* remover);

    std::vector<Share> shares_;
    device::virtio::fs::Workers workers_;
};

}  // namespace doppel::machine
