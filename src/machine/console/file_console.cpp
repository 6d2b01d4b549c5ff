#include <fcntl.h>

#include <cerrno>
#include <cstdio>

#include "machine/console/backends.h"

namespace doppel::machine {
namespace {

class NullConsole final : public Console {
  public:
    explicit NullConsole(EventLoop& loop) : Console(loop) {}
};

class FileConsole final : public Console {
  public:
    FileConsole(EventLoop& loop, UniqueFd file, std::string path)
        : Console(loop), file_(std::move(file)), path_(std::move(path)) {
        attach(-1, file_.get());
    }
    ~FileConsole() override { detach(); }

  protected:
    // A full disk ends the record, not the machine.
    void on_lost(int error) override {
        std::fprintf(stderr, "doppel: %s\r\n", Error::system("write console", path_, error).message().c_str());
        discard_output();
    }

  private:
    UniqueFd file_;
    std::string path_;
};

}  // namespace

Result<std::unique_ptr<Console>> open_file_console(const std::string& path, EventLoop& loop) {
    UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644));
    if (!file) return fail(Error::system("open console", path, errno));
    return std::make_unique<FileConsole>(loop, std::move(file), path);
}

std::unique_ptr<Console> make_null_console(EventLoop& loop) {
    return std::make_unique<NullConsole>(loop);
}

}  // namespace doppel::machine
