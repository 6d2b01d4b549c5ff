// The file system device under a hostile driver. What requests say the server's own fuzzer tries; the folder here is
// only read, so that inputs stay independent of each other.
#include <fcntl.h>

#include <filesystem>

#include "base/fuzz_folder.h"
#include "device/virtio/fs/device.h"
#include "device/virtio/virtio_fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel;
    using device::virtio::fs::FsDevice;
    static const UniqueFd folder = [] {
        const auto name = make_fuzz_folder();
        UniqueFd opened(open(name.c_str(), O_RDONLY | O_DIRECTORY));
        std::filesystem::remove(name);
        return opened;
    }();
    device::virtio::fs::Workers workers;
    device::virtio::fuzz_virtio_device(data, size, [&](memory::GuestMemory& memory) {
        fuse::ServerOptions options;
        options.tree.read_only = true;
        auto server = fuse::Server::create(UniqueFd(dup(folder.get())), std::move(options));
        if (!server) std::abort();
        return std::make_unique<FsDevice>(FsDevice::Parts{"fuzzed", std::move(*server), memory, workers, 1});
    });
    return 0;
}
