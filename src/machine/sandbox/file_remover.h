// Removes files when the process has ended, however it ends: sockets that nobody listens on any more.
#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "base/unique_fd.h"

namespace doppel::machine::sandbox {

// A small process beside this one that waits for its end; a confined process cannot remove files itself, and a killed
// one neither. Nothing that this process does after `seal` makes it remove anything else.
class FileRemover {
  public:
    // Forks: call it while the process has one thread and little memory, which the other one keeps.
    static Result<std::unique_ptr<FileRemover>> start();
    ~FileRemover();  // finishes
    FileRemover(const FileRemover&) = delete;
    FileRemover& operator=(const FileRemover&) = delete;

    // The file that is at `path` now will be removed, if it is still that one then; a folder with all that is in it.
    Result<> add(const std::filesystem::path& path);
    // No file can be added any more.
    void seal();
    // Removes the files; when it returns they are gone.
    void finish();

  private:
    explicit FileRemover(UniqueFd link) : link_(std::move(link)) {}
    UniqueFd link_;
    bool sealed_ = false;
};

}  // namespace doppel::machine::sandbox
