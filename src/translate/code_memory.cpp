#include "translate/code_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/unique_fd.h"

namespace doppel::translate {

Result<CodeMemory> CodeMemory::create(size_t bytes) {
    auto problem = [](const char* what) {
        return fail(Error{"make memory for generated code", what, std::strerror(errno),
                          "use --engine interpret where generated code is forbidden"});
    };
    UniqueFd file(memfd_create("doppel-code", MFD_CLOEXEC));
    if (!file || ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return problem("memfd");
    void* writable = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
    if (writable == MAP_FAILED) return problem("the writable mapping");
    void* executable = mmap(nullptr, bytes, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
    if (executable == MAP_FAILED) {
        auto failure = problem("the executable mapping");
        munmap(writable, bytes);
        return failure;
    }
    return CodeMemory(static_cast<uint8_t*>(writable), static_cast<uint8_t*>(executable), bytes);
}

CodeMemory::CodeMemory(CodeMemory&& other) noexcept
    : writable_(std::exchange(other.writable_, nullptr)),
      executable_(std::exchange(other.executable_, nullptr)),
      size_(other.size_),
      used_(other.used_),
      cold_(other.cold_) {}

CodeMemory::~CodeMemory() {
    if (writable_ != nullptr) munmap(writable_, size_);
    if (executable_ != nullptr) munmap(executable_, size_);
}

namespace {

constexpr size_t kAlignment = 16;

}  // namespace

uint8_t* CodeMemory::place(std::span<const uint8_t> code) {
    size_t at = (used_ + kAlignment - 1) & ~(kAlignment - 1);
    if (at > cold_ || code.size() > cold_ - at) return nullptr;
    std::copy(code.begin(), code.end(), writable_ + at);
    used_ = at + code.size();
    return executable_ + at;
}

uint8_t* CodeMemory::place_cold(std::span<const uint8_t> code) {
    if (code.size() > cold_ - used_) return nullptr;
    size_t at = (cold_ - code.size()) & ~(kAlignment - 1);
    if (at < used_) return nullptr;
    std::copy(code.begin(), code.end(), writable_ + at);
    cold_ = at;
    return executable_ + at;
}

}  // namespace doppel::translate
