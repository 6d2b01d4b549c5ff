#include "translate/code_memory.h"

#include <sys/mman.h>
#include <unistd.h>

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
      used_(other.used_) {}

CodeMemory::~CodeMemory() {
    if (writable_ != nullptr) munmap(writable_, size_);
    if (executable_ != nullptr) munmap(executable_, size_);
}

uint8_t* CodeMemory::place(std::span<const uint8_t> code) {
    constexpr size_t kAlignment = 16;
    size_t at = (used_ + kAlignment - 1) & ~(kAlignment - 1);
    if (at + code.size() > size_) return nullptr;
    std::memcpy(writable_ + at, code.data(), code.size());
    used_ = at + code.size();
    return executable_ + at;
}

}  // namespace doppel::translate
