#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/file.h"
#include "base/unique_fd.h"
#include "subject.h"

namespace doppel::differential {

namespace {

// The extensions that sequences use and this CPU model does not have by itself.
constexpr const char* kCpu =
    "rv64,zicond=true,zicbom=true,zicboz=true,zba=true,zbb=true,zbs=true,"
    "zbc=true,zbkb=true,zbkc=true,zbkx=true,zkne=true,zknd=true,zknh=true,zksed=true,zksh=true";

Error cannot(const std::string& what, int error_number) {
    return Error::system("run the reference", what, error_number);
}

// Inherited by the child under the same number.
Result<UniqueFd> memory_file(const char* name) {
    UniqueFd fd(::memfd_create(name, 0));
    if (!fd) return fail(cannot("memfd", errno));
    return fd;
}

Result<pid_t> start(const std::string& qemu, std::string cpu, const std::string& program, int output) {
    std::string executable = qemu, cpu_option = "-cpu", path = program;
    char* const arguments[] = {executable.data(), cpu_option.data(), cpu.data(), path.data(), nullptr};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    pid_t child = 0;
    int error = ::posix_spawn(&child, qemu.c_str(), &actions, nullptr, arguments, environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) return fail(cannot(qemu, error));
    return child;
}

Result<std::vector<uint8_t>> read_output(int fd) {
    off_t size = ::lseek(fd, 0, SEEK_END);
    if (size < 0) return fail(cannot("its output", errno));
    std::vector<uint8_t> bytes(static_cast<size_t>(size));
    size_t got = 0;
    while (got < bytes.size()) {
        ssize_t n = ::pread(fd, bytes.data() + got, bytes.size() - got, static_cast<off_t>(got));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(cannot("its output", n < 0 ? errno : EIO));
        got += static_cast<size_t>(n);
    }
    return bytes;
}

}  // namespace

Result<Output> run_in_qemu(const std::string& qemu, const Program& program) {
    DOPPEL_TRY(UniqueFd file, memory_file("differential-program"));
    DOPPEL_TRY(UniqueFd output, memory_file("differential-output"));
    if (!write_all(file.get(), elf_file(program))) return fail(cannot("its program", errno));
    std::string cpu = kCpu;
    if (program.vector_bits != 0) cpu += fmt::format(",v=true,vlen={}", program.vector_bits);
    DOPPEL_TRY(pid_t child, start(qemu, cpu, fmt::format("/proc/self/fd/{}", file.get()), output.get()));
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return fail(cannot(qemu, errno));
    }
    Output written;
    DOPPEL_TRY(written.bytes, read_output(output.get()));
    if (WIFSIGNALED(status)) written.trouble = fmt::format("ended by signal {}", ::strsignal(WTERMSIG(status)));
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        written.trouble = fmt::format("exit code {}", WEXITSTATUS(status));
    return written;
}

}  // namespace doppel::differential
