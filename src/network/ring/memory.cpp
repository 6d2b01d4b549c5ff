#include "network/ring/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace doppel::network::ring {

namespace {

constexpr const char* kPurpose = "share memory with the switch";
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Result<Memory> Memory::create() {
    UniqueFd file(memfd_create("doppel-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file || ftruncate(file.get(), kBytes) != 0 || fcntl(file.get(), F_ADD_SEALS, kSeals) != 0)
        return fail(Error::system(kPurpose, "memfd", errno));
    return map(std::move(file));
}

Result<Memory> Memory::open(UniqueFd file) {
    struct stat status {};
    const int seals = fcntl(file.get(), F_GET_SEALS);
    if (fstat(file.get(), &status) != 0 || status.st_size != kBytes || (seals & kSeals) != kSeals)
        return fail(Error{kPurpose, "memfd", "it is not as it should be", "end the switch: doppel network rm"});
    return map(std::move(file));
}

Result<Memory> Memory::map(UniqueFd file) {
    void* base = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (base == MAP_FAILED) return fail(Error::system(kPurpose, "memfd", errno));
    return Memory(std::move(file), static_cast<uint8_t*>(base));
}

Memory::Memory(Memory&& other) noexcept : file_(std::move(other.file_)), base_(std::exchange(other.base_, nullptr)) {}

Memory::~Memory() {
    if (base_ != nullptr) munmap(base_, kBytes);
}

}  // namespace doppel::network::ring
